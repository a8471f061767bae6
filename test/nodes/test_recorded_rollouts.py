"""A recorded run is trained from again: the same weights, bit for bit, or a refusal."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from bags import write_bag
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin, Writer
from test_grpo_trainer import SMALL, Run
from toy_world import ToyPolicy, ToySource

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import (
    Decision,
    EpisodeReport,
    ExecutedChunk,
    Question,
)
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.topics.message_definitions import message_definition
from smoothvla_ros.nodes.topics.messages import (
    to_episode_result,
    to_request,
    to_rollout_step,
)
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import Episode, EpisodeName, EpisodeRequest
from smoothvla_ros.workflows.training.recorded_rollouts import RecordedRolloutSource

JOINTS = [f'panda_joint{i}' for i in range(1, 8)]
ATTEMPT = 1_790_000_000


class RecordedToySource(ToySource):
    """A toy source whose traffic is written as the topics of a training graph would be.

    drop: episode ids of which a step is never recorded.
    """

    drop: Sequence[str] = ()

    def record(self, path: Path) -> RecordedToySource:
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connections, self._time = {}, 1
        return self

    def write(self, topic: str, message) -> None:
        kind = type(message).__name__
        name = f'smoothvla_ros/msg/{kind}'
        if topic not in self._connections:
            text, digest = message_definition(name)
            self._connections[topic] = self._writer.add_connection(
                topic, name, msgdef=text, rihs01=digest
            )
        self._time += 1
        self._writer.write(self._connections[topic], self._time, serialize_message(message))

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        super().update_policy(version, folder, sha256)
        update = msg.PolicyUpdate(version=version, path=str(folder), sha256=sha256)
        self.write('/policy_update', update)

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        for episode in super().collect(requests):
            self._write_episode(episode)
            yield episode

    def close(self) -> None:
        self._writer.close()

    def _write_episode(self, episode: Episode) -> None:
        request = dataclasses.replace(episode.request, attempt=ATTEMPT)
        robot, version = 'robot_0', request.policy_version
        self.write('/episode_request', to_request(request, robot, 1.0, 1))
        self.write('/episode_request', to_request(request, robot, 1.0, 2))
        executed, steps = [], []
        for index, chunk in enumerate(episode.chunks):
            stamp = 10**12 + index
            executed.append(ExecutedChunk(stamp, 7, chunk.executed))
            question = Question(request.episode_id, ATTEMPT, index, stamp, version)
            decision = Decision(
                robot, question, 7, chunk.observation, chunk.tokens, chunk.log_probs
            )
            steps.append(to_rollout_step(decision, JOINTS))
        if request.episode_id in self.drop:
            steps.pop()
        report = EpisodeReport(
            robot,
            request.episode_id,
            ATTEMPT,
            version,
            '',
            episode.success,
            tuple(executed),
            episode.trajectory,
        )
        # The last step and the result travel on two topics and may overtake each other.
        for step in steps[:-1]:
            self.write('/rollout_step', step)
        self.write('/episode_result', to_episode_result(report, 3))
        for step in steps[-1:]:
            self.write('/rollout_step', step)


@pytest.fixture(scope='module')
def recorded(tmp_path_factory):
    """A toy run of two iterations with its recording and the weights it ended with."""
    folder = tmp_path_factory.mktemp('run')
    source = RecordedToySource(shuffle=3).record(folder / 'bag')
    run = Run(folder, source=source)
    for _ in range(2):
        run.iterate()
    source.close()
    return folder / 'bag', run.weights.clone(), run


def test_training_from_the_recording_gives_the_same_weights(recorded, tmp_path):
    """Two iterations without any robot: every bit of every weight, and of every rollout."""
    bag, weights, original = recorded
    replay = Run(tmp_path, source=RecordedRolloutSource([bag]))
    for _ in range(2):
        replay.iterate()
    assert not torch.equal(weights, Run(tmp_path / 'fresh').weights)
    assert torch.equal(replay.weights, weights)
    for iteration, episodes in original.rollouts.items():
        again = {e.request.episode_id: e for e in replay.rollouts[iteration]}
        for episode in episodes:
            copy = again[episode.request.episode_id]
            assert copy.request == episode.request
            assert copy.success == episode.success
            for field in dataclasses.fields(episode.trajectory):
                first, second = (getattr(e.trajectory, field.name) for e in (episode, copy))
                np.testing.assert_array_equal(first, second)
                assert np.asarray(first).dtype == np.asarray(second).dtype


def test_other_weights_are_refused(recorded, tmp_path):
    """A policy that did not play these episodes must not learn from them as if it had."""
    replay = Run(tmp_path, source=RecordedRolloutSource([recorded[0]]), policy=ToyPolicy(seed=1))
    with pytest.raises(UserError, match='other weights of version 0'):
        replay.iterate()


def test_other_settings_are_refused(recorded, tmp_path):
    """Another temperature or seed asks for episodes that were never played."""
    hotter = dataclasses.replace(SMALL, temperature=SMALL.temperature + 0.5)
    replay = Run(tmp_path, hotter, source=RecordedRolloutSource([recorded[0]]))
    with pytest.raises(UserError, match=r'temperature=.* but .* is asked for'):
        replay.iterate()


def test_more_iterations_than_were_recorded_are_refused(recorded, tmp_path):
    """The version after the last one was never announced."""
    replay = Run(tmp_path, source=RecordedRolloutSource([recorded[0]]))
    for _ in range(2):
        replay.iterate()
    with pytest.raises(UserError, match='no policy version 2, only 0, 1'):
        replay.iterate()


def test_an_episode_that_was_not_recorded_whole_is_lost_with_its_reason(tmp_path):
    """A chunk that is missing makes its episode lost, never shorter."""
    source = RecordedToySource().record(tmp_path / 'bag')
    run = Run(tmp_path, source=source)
    folder = tmp_path / 'version_0'
    run.policy.save(folder)
    source.update_policy(0, folder, folder_sha256(folder))
    name = EpisodeName('toy', 0, 1, 2)
    requests = [EpisodeRequest(f'e{i}', name, 0, 1.0, seed=1, policy_version=0) for i in (0, 1)]
    source.drop = ('e1',)
    played = list(source.collect(requests))
    source.close()
    replay = RecordedRolloutSource([tmp_path / 'bag'])
    replay.update_policy(0, folder, folder_sha256(folder))
    found = list(replay.collect(requests))
    assert [e.request for e in found] == [played[0].request]
    assert [lost.request for lost in replay.lost()] == [requests[1]]


def test_a_lost_episode_does_not_read_the_recording_to_its_end(tmp_path):
    """Of a long run no more is kept than the episodes of the next version, which are given then."""
    source = RecordedToySource().record(tmp_path / 'bag')
    run = Run(tmp_path, source=source)
    folder = tmp_path / 'version'
    run.policy.save(folder)
    sha256 = folder_sha256(folder)
    source.drop = ('e0',)
    requests = []
    for version in range(4):
        source.update_policy(version, folder, sha256)
        name = EpisodeName('toy', 0, 1, 2)
        requests.append(EpisodeRequest(f'e{version}', name, 0, 1.0, 1, policy_version=version))
        assert len(list(source.collect(requests[-1:]))) == 1
    source.close()
    replay = RecordedRolloutSource([tmp_path / 'bag'])
    for version, request in enumerate(requests):
        replay.update_policy(version, folder, sha256)
        found = [episode.request for episode in replay.collect([request])]
        assert found == ([] if version == 0 else [request])
        assert len(replay.lost()) == (version == 0)
        if version == 0:
            assert list(replay._waiting) == ['e1']


def test_a_recording_of_something_else_is_refused(tmp_path):
    """A bag of joint states is no training run."""
    bag = write_bag(tmp_path / 'bag', np.arange(3) * 0.1, np.zeros((3, 1)), ['a'])
    with pytest.raises(UserError, match='no recording of a training run'):
        RecordedRolloutSource([bag])
