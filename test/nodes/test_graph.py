"""The graph over real DDS: the same rollouts as in process, and what happens when things break."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from graph_world import Graph, SeededPolicy, SwayingWorker, request
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.simulation.workers.worker_pool import WorkerDied
from smoothvla_ros.smoothness import EstimatorSettings, mean_jerk, summarise, tool_jerk
from smoothvla_ros.training.rollouts.robot_loop import run_episode


@pytest.fixture(scope='module')
def graph(ros, tmp_path_factory):
    """One graph for all tests; each leaves it as it found it."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        running = Graph(monkeypatch, tmp_path_factory.mktemp('policy'))
        running.source.update_policy(0, running.folder, folder_sha256(running.folder))
        try:
            yield running
        finally:
            running.close()


def test_topics_give_the_rollouts_of_one_process(graph):
    """Tokens, log-probabilities, observations and motion, bit for bit, on whichever robot."""
    requests = [request(f'same-{i}', init_state=i, task=i % 2) for i in range(5)]
    episodes, lost = graph.collect(*requests)
    assert not lost
    policy = SeededPolicy()
    for wanted in requests:
        alone = run_episode(
            SwayingWorker(),
            lambda o, t, s: policy.act([o], temperature=t, seeds=[s]),
            wanted,
            1.0,
            1.0,
        )
        episode = episodes[wanted.episode_id]
        assert episode.request == wanted
        assert len(episode.chunks) == len(alone.chunks) == 6
        for mine, theirs in zip(episode.chunks, alone.chunks, strict=True):
            assert mine.executed == theirs.executed
            assert mine.tokens.tobytes() == theirs.tokens.tobytes()
            assert mine.log_probs.tobytes() == theirs.log_probs.tobytes()
            assert mine.observation.instruction == theirs.observation.instruction
            for camera, image in theirs.observation.images.items():
                assert np.array_equal(mine.observation.images[camera], image)
            for name in ('joint_positions', 'joint_velocities', 'gripper_positions'):
                got, expected = getattr(mine.observation, name), getattr(theirs.observation, name)
                assert got.tobytes() == expected.tobytes()
        assert episode.trajectory.actions.tobytes() == alone.trajectory.actions.tobytes()
        ours, theirs = episode.trajectory.joint_positions, alone.trajectory.joint_positions
        assert ours.tobytes() == theirs.tobytes()


def test_dead_worker_is_started_again_and_its_episode_repeated(graph):
    """The episode comes all the same, and the worker was restarted once."""
    worker = graph.workers[0]
    before = worker.restarts
    graph.workers[0].error = WorkerDied('worker robot_0 (pid 1) died during execute')
    episodes, lost = graph.collect(*[request(f'dead-{i}') for i in range(2)])
    assert len(episodes) == 2
    assert not lost
    assert worker.restarts == before + 1


def test_observation_that_is_not_finite_is_refused(graph):
    """The policy says why, nothing is executed, and the reason reaches the trainer."""
    for worker in graph.workers:
        worker.spoiled = True
    try:
        episodes, lost = graph.collect(request('nan'))
    finally:
        for worker in graph.workers:
            worker.spoiled = False
    assert not episodes
    assert 'position of an arm joint is not finite' in lost['nan']
    assert all(worker.actions == [] for worker in graph.workers if worker.name is not None)


def test_replaced_version_is_refused_and_a_later_one_waited_for(graph):
    """A request for version v is answered by v or not at all."""
    sha256 = folder_sha256(graph.folder)
    graph.source.update_policy(1, graph.folder, sha256)
    episodes, _ = graph.collect(request('new', version=1))
    assert set(episodes) == {'new'}
    _, lost = graph.collect(request('old', version=0))
    assert 'version 0 was asked for, but version 1 has replaced it' in lost['old']
    graph.source.update_policy(0, graph.folder, sha256)


def test_weights_that_are_not_those_announced_are_refused(graph):
    """A changed file is caught by its hash, at the trainer and at the policy node."""
    with pytest.raises(UserError, match='changed since version 2'):
        graph.source.update_policy(2, graph.folder, 'f' * 64)
    publisher = graph.source._updates
    publisher.publish(msg.PolicyUpdate(version=2, path=str(graph.folder), sha256='f' * 64))
    _, lost = graph.collect(request('damaged', version=2))
    assert 'announced was ffffffffffff' in lost['damaged']
    graph.source.update_policy(0, graph.folder, folder_sha256(graph.folder))


def test_monitor_publishes_the_jerk_that_the_report_computes(graph):
    """One estimator: the episode's mean over topics is that of its trajectory, and its shape."""
    heard = graph.jerk_states
    episodes, _ = graph.collect(request('jerk', init_state=3))
    wait_until(lambda: any(m.episode_finished and m.episode_id == 'jerk' for m in heard))
    (message,) = [m for m in heard if m.episode_finished and m.episode_id == 'jerk']
    estimator = EstimatorSettings()
    trajectory = episodes['jerk'].trajectory
    jerk = tool_jerk(trajectory.joint_positions, Arm.panda().jacobian, 0.05, estimator)
    assert message.missing == 0
    assert message.episode_mean_jerk == pytest.approx(mean_jerk(jerk), rel=1e-6)
    whole = summarise(trajectory.joint_positions, Arm.panda().jacobian, None, 0.05, estimator)
    assert message.episode_ldlj == pytest.approx(whole.ldlj, rel=1e-6)
    assert message.episode_sparc == pytest.approx(whole.sparc, rel=1e-6)
    assert message.header.frame_id == 'panda_link0'


def test_deactivated_policy_answers_nothing_until_it_is_active_again(graph):
    """What waited is answered after the activation, by the re-sent observation."""
    graph.policy_node.trigger_deactivate()
    collected = graph.source.collect([request('paused')])
    calls = graph.policy.calls
    graph.source._peers.require(time.monotonic())
    timer = threading.Timer(1.5, graph.policy_node.trigger_activate)
    timer.start()
    episode = next(collected)
    timer.join()
    assert episode.request.episode_id == 'paused'
    assert graph.policy.calls == calls + 6
    collected.close()
