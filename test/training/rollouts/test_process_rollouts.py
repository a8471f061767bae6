"""Rollouts on workers of this process: retries, losses, order; one episode in the simulator."""

from __future__ import annotations

import itertools
import os
import signal
import threading

import numpy as np
import pytest
from toy_world import HORIZON, JOINTS, ToyPolicy, ToyRobot, load_toy

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import ActionChunks, PolicySpec
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import EpisodeName, EpisodeRequest
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.worker_pool import WorkerDied
from smoothvla_ros.training.rollouts import process as process_rollouts
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource


class ToyWorker(ToyRobot):
    """A worker that dies at the resets it is told to."""

    def __init__(self, deaths: list[str]) -> None:
        self.deaths, self.restarts, self.tasks = deaths, 0, []

    def reset(self, name, timeout_s):
        """Die, or begin."""
        self.tasks.append(name.task)
        if self.deaths:
            raise WorkerDied(self.deaths.pop())
        return super().reset(name, timeout_s)

    def restart(self):
        """Count."""
        self.restarts += 1


class ToyPool:
    """Two toy workers in place of processes."""

    deaths: tuple[list[str], list[str]] = ([], [])

    def __init__(self, count, render):
        self.workers = [ToyWorker(list(deaths)) for deaths in self.deaths[:count]]

    def close(self):
        """Nothing to stop."""


@pytest.fixture
def toy_pool(monkeypatch):
    """Toy workers; returns the class, whose `deaths` a test may set."""

    class Pool(ToyPool):
        pass

    monkeypatch.setattr(process_rollouts, 'WorkerPool', Pool)
    return Pool


def requests(count: int, tasks: tuple[int, ...] = (0,), version: int = 0):
    """Episodes of a few tasks, one after the other."""
    return [
        EpisodeRequest(
            f'e{i:02d}',
            EpisodeName('libero_spatial', tasks[i % len(tasks)], 0, i),
            0,
            1.0,
            3,
            version,
            horizon=HORIZON,
        )
        for i in range(count)
    ]


def serve(source: ProcessRolloutSource, folder) -> ProcessRolloutSource:
    """Give the source its first policy."""
    ToyPolicy().save(folder)
    source.update_policy(0, folder, folder_sha256(folder))
    return source


def tokens_by_id(episodes) -> dict[str, np.ndarray]:
    """All tokens of every episode."""
    return {e.request.episode_id: np.stack([c.tokens for c in e.chunks]) for e in episodes}


def test_the_number_of_workers_does_not_change_a_token(toy_pool, tmp_path):
    """One worker and two give the same episodes."""
    results = []
    for workers in (1, 2):
        source = serve(ProcessRolloutSource(load_toy, workers, RenderSettings()), tmp_path)
        results.append(tokens_by_id(source.collect(requests(6))))
        assert source.lost() == ()
    assert results[0].keys() == results[1].keys()
    for episode_id, tokens in results[0].items():
        np.testing.assert_array_equal(tokens, results[1][episode_id])


def test_a_worker_that_dies_is_restarted_and_its_episode_repeated(toy_pool, tmp_path, caplog):
    """Two deaths, named in the log; every episode comes all the same."""
    toy_pool.deaths = (['robot_0 died', 'robot_0 died again'], [])
    source = serve(ProcessRolloutSource(load_toy, 1, RenderSettings()), tmp_path)
    assert len(list(source.collect(requests(3)))) == 3
    assert source._crew.workers[0].restarts == 2
    assert 'robot_0 died again' in caplog.text


def test_an_episode_that_kills_every_worker_is_lost_not_repeated_for_ever(toy_pool, tmp_path):
    """After three attempts it is reported with its reason, and the others come."""
    toy_pool.deaths = (['out of memory'] * 3, [])
    source = serve(ProcessRolloutSource(load_toy, 1, RenderSettings()), tmp_path)
    episodes = list(source.collect(requests(3)))
    assert [e.request.episode_id for e in episodes] == ['e01', 'e02']
    (lost,) = source.lost()
    assert (lost.request.episode_id, lost.reason) == ('e00', 'out of memory')


def test_a_worker_keeps_to_its_task_while_there_is_any_of_it(toy_pool, tmp_path):
    """Building another scene costs seconds: two switches for three tasks, not eleven."""
    source = serve(ProcessRolloutSource(load_toy, 1, RenderSettings()), tmp_path)
    list(source.collect(requests(12, tasks=(0, 1, 2))))
    tasks = source._crew.workers[0].tasks
    assert sum(a != b for a, b in itertools.pairwise(tasks)) == 2


def test_another_version_is_refused(toy_pool, tmp_path):
    """A request for weights that are not loaded is an error, not an answer by others."""
    source = serve(ProcessRolloutSource(load_toy, 1, RenderSettings()), tmp_path)
    with pytest.raises(UserError, match='version 1'):
        list(source.collect(requests(1, version=1)))


def test_changed_weights_are_refused(toy_pool, tmp_path):
    """The hash that was announced is checked."""
    source = ProcessRolloutSource(load_toy, 1, RenderSettings())
    ToyPolicy().save(tmp_path)
    announced = folder_sha256(tmp_path)
    ToyPolicy(1).save(tmp_path)
    with pytest.raises(UserError, match='changed'):
        source.update_policy(0, tmp_path, announced)


def test_an_error_of_the_policy_reaches_the_caller(toy_pool, tmp_path):
    """A thread's error is not swallowed, and nothing is left running."""

    class Broken(ToyPolicy):
        def act(self, observations, *, temperature, seeds):
            raise UserError('NaN in an observation')

    source = serve(ProcessRolloutSource(lambda folder: Broken(), 2, RenderSettings()), tmp_path)
    with pytest.raises(UserError, match='NaN'):
        list(source.collect(requests(4)))
    assert not [t for t in threading.enumerate() if t.name.startswith('robot')]


def test_ctrl_c_waits_for_no_answer(toy_pool, tmp_path, monkeypatch):
    """The policy that thinks is told, and the robots behind it do not ask in their turn."""
    thinks, told, asked = threading.Event(), threading.Event(), []

    class Thinks(ToyPolicy):
        def act(self, observations, *, temperature, seeds):
            asked.append(seeds)
            thinks.set()
            assert told.wait(30.0)
            raise UserError('given up')

        def give_up(self):
            told.set()

    def interrupted(*_):
        # Where Ctrl-C is heard; a signal would end ROS for the other tests of this process too.
        assert thinks.wait(30.0)
        raise KeyboardInterrupt

    source = serve(ProcessRolloutSource(lambda folder: Thinks(), 2, RenderSettings()), tmp_path)
    monkeypatch.setattr(source, '_answers', interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(source.collect(requests(4)))
    assert told.is_set()
    assert len(asked) == 1


def test_stopping_early_leaves_no_thread(toy_pool, tmp_path):
    """A caller that takes one episode and leaves."""
    source = serve(ProcessRolloutSource(load_toy, 2, RenderSettings()), tmp_path)
    episodes = source.collect(requests(50))
    next(episodes)
    episodes.close()
    assert not [t for t in threading.enumerate() if t.name.startswith('robot')]


class SimPolicy(ToyPolicy):
    """The toy policy in LIBERO's action space, slowly moving the arm."""

    spec = PolicySpec(4, JOINTS, 5, 'libero_osc_pose', ('agentview', 'wrist'), 64)

    def act(self, observations, *, temperature, seeds) -> ActionChunks:
        """Toy chunks, once both images have been seen."""
        assert {image.shape for image in observations[0].images.values()} == {(64, 64, 3)}
        return super().act(observations, temperature=temperature, seeds=seeds)


def test_a_real_worker_is_replaced_after_a_kill_and_repeats_an_episode(tmp_path, caplog):
    """In the simulator: killed before its first episode, then twice the same, bit for bit."""
    render = RenderSettings('fast', 64)
    with serve(ProcessRolloutSource(lambda folder: SimPolicy(), 1, render), tmp_path) as source:
        killed = source._crew.workers[0].pid
        os.kill(killed, signal.SIGKILL)
        (first,) = source.collect(requests(1))
        (second,) = source.collect(requests(1))
    assert f'pid {killed}) died' in caplog.text
    assert first.steps == HORIZON
    for name in ('actions', 'joint_positions', 'substep_joint_positions'):
        np.testing.assert_array_equal(
            getattr(first.trajectory, name), getattr(second.trajectory, name)
        )
    np.testing.assert_array_equal(
        first.chunks[-1].observation.images['wrist'], second.chunks[-1].observation.images['wrist']
    )
