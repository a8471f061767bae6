"""The episode loop against a scripted robot: what is sent, what is recorded, when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from toy_world import CHUNK, JOINTS

from smoothvla_ros.policies import ActionChunks, chunk_seed
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation
from smoothvla_ros.simulation.tasks import horizon
from smoothvla_ros.training.rollouts.robot_loop import run_episode

NAME = EpisodeName('libero_spatial', 2, 3, 17)


@dataclass
class Result:
    """What the scripted robot answers."""

    observation: Observation | None
    executed: int
    success: bool


@dataclass
class ScriptedRobot:
    """Succeeds at a given step; remembers what it was told."""

    success_at: int | None = None
    sent: list[tuple[int, bool]] = field(default_factory=list)
    steps: int = 0

    def reset(self, name, timeout_s):
        """Begin at step 0."""
        assert name == NAME
        return self._observation()

    def execute(self, actions, timeout_s, observe=True):
        """Run the actions, or up to success."""
        self.sent.append((len(actions), observe))
        left = len(actions) if self.success_at is None else self.success_at - self.steps
        executed = min(len(actions), left)
        self.steps += executed
        success = self.steps == self.success_at
        return Result(self._observation() if observe and not success else None, executed, success)

    def trajectory(self):
        """What the episode carries as its motion."""
        return ('motion of', self.steps)

    def _observation(self):
        return Observation({}, np.full(JOINTS, self.steps), np.zeros(JOINTS), np.zeros(2), 'go')


def run(robot: ScriptedRobot, horizon_of_request: int | None = None, chunk_filter=None):
    """One episode; returns it with the seeds that were asked for."""
    seeds = []

    def act(observation, temperature, seed):
        assert temperature == 0.7
        seeds.append(seed)
        shape = (1, CHUNK, JOINTS)
        return ActionChunks(np.zeros(shape), np.zeros(shape, int), np.zeros(shape, np.float32))

    request = EpisodeRequest('e1', NAME, 0, 0.7, 5, 0, horizon=horizon_of_request)
    return run_episode(robot, act, request, 1.0, 1.0, chunk_filter), seeds


def test_it_ends_at_first_success_in_the_middle_of_a_chunk():
    """The last chunk's record says how many of its steps ran."""
    episode, _ = run(ScriptedRobot(success_at=CHUNK + 1))
    assert episode.success
    assert [chunk.executed for chunk in episode.chunks] == [CHUNK, 1]
    assert episode.trajectory == ('motion of', CHUNK + 1)


@pytest.mark.parametrize('steps', [None, 2 * CHUNK - 1, 2 * CHUNK])
def test_no_step_beyond_the_horizon_is_sent(steps):
    """The suite's own horizon unless the request names one; the last observation is not drawn."""
    robot = ScriptedRobot()
    episode, _ = run(robot, steps)
    expected = horizon('libero_spatial') if steps is None else steps
    assert not episode.success
    assert robot.steps == expected == sum(chunk.executed for chunk in episode.chunks)
    assert [observe for _, observe in robot.sent] == [True] * (len(robot.sent) - 1) + [False]


def test_each_chunk_answers_the_observation_that_it_records():
    """Chunk k is decided on what was seen after all earlier chunks, with its own seed."""
    episode, seeds = run(ScriptedRobot(), 3 * CHUNK)
    seen = [chunk.observation.joint_positions[0] for chunk in episode.chunks]
    assert seen == [0, CHUNK, 2 * CHUNK]
    assert seeds == [chunk_seed(5, 'e1', index) for index in range(3)]


def test_a_filter_decides_what_is_executed_and_how_soon_the_policy_is_asked_again():
    """Half of each chunk runs, changed; the records keep what the policy itself had said."""
    robot = ScriptedRobot()
    executed = []
    record = robot.execute

    def execute(actions, timeout_s, observe=True):
        executed.append(actions)
        return record(actions, timeout_s, observe)

    robot.execute = execute
    episode, _ = run(robot, CHUNK + 1, lambda actions: actions[: CHUNK // 2] + 0.5)
    assert [len(actions) for actions in executed] == [CHUNK // 2, CHUNK // 2, 1]
    assert all((actions == 0.5).all() for actions in executed)
    assert [chunk.executed for chunk in episode.chunks] == [CHUNK // 2, CHUNK // 2, 1]
    assert all((chunk.tokens == 0).all() for chunk in episode.chunks)
