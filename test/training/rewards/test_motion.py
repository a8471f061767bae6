"""What a reward is told of a rollout's jerk: of the joints, or of the commands."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from toy_world import PERIOD_S, START

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import (
    ChunkRecord,
    Episode,
    EpisodeName,
    EpisodeRequest,
    Observation,
    Trajectory,
)
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.rewards.motion import rollout_outcome


def rollout(actions: np.ndarray, last_joint: np.ndarray | float = START[-1]) -> Episode:
    """An arm that stands still whatever it is told, but for its last joint where that is given."""
    steps = len(actions)
    joints = np.tile(START, (steps + 1, 1))
    joints[:, -1] = last_joint
    trajectory = dataclasses.replace(
        Trajectory.at_rest(steps),
        actions=actions,
        joint_positions=joints,
        substep_joint_positions=joints.astype(np.float32),
    )
    request = EpisodeRequest('e', EpisodeName('libero_spatial', 0, 0, 0), 0, 1.0, 0, 0)
    observation = Observation({}, START, START, np.zeros(2), 'go')
    chunk = ChunkRecord(observation, np.zeros((steps, 7)), np.zeros((steps, 7)), steps)
    return Episode(request, True, trajectory, [chunk])


def test_commands_have_jerk_that_the_joints_need_not_have() -> None:
    """A parabola of commands has a constant second difference: scale * 2 a / dt^3 at every step."""
    steps = 10
    actions = np.zeros((steps, 7))
    actions[:, 1] = 0.01 * np.arange(steps) ** 2
    actions[:, 6] = np.where(np.arange(steps) % 2, 1.0, -1.0)
    arm, estimator = Arm.panda(), EstimatorSettings()
    of_joints = rollout_outcome(rollout(actions), arm.jacobian, estimator)
    of_commands = rollout_outcome(rollout(actions), arm.jacobian, estimator, 'commands')
    assert of_joints.mean_jerk == pytest.approx(0.0, abs=1e-6)
    expected = 0.05 * 0.02 / PERIOD_S**3
    assert of_commands.mean_jerk == pytest.approx(expected)
    np.testing.assert_allclose(of_commands.step_jerk, np.full(steps, expected))
    assert not of_commands.step_angular_jerk.any()
    assert of_joints.trajectory.actions is actions


def test_the_last_joint_turns_the_tool_and_moves_it_nowhere() -> None:
    """Its axis goes through the tool's point: the angular jerk is the joint's own, to 3 %."""
    time = np.arange(81) * PERIOD_S
    swing = rollout(np.zeros((80, 7)), 0.5 * np.sin(3.0 * time))
    outcome = rollout_outcome(swing, Arm.panda().jacobian, EstimatorSettings())
    expected = np.abs(0.5 * 27.0 * np.cos(3.0 * time))[1:]
    inner = slice(5, -5)
    np.testing.assert_allclose(
        outcome.step_angular_jerk[inner], expected[inner], atol=0.03 * expected.max()
    )
    assert outcome.mean_angular_jerk == pytest.approx(outcome.step_angular_jerk.mean())
    assert outcome.step_jerk.max() < 1e-6


@pytest.mark.parametrize('source', ['joints', 'commands'])
def test_a_rollout_too_short_for_jerk_has_none(source: str) -> None:
    """Two steps: not a number, as long as the rollout; zero would be smoother than any other."""
    outcome = rollout_outcome(
        rollout(np.zeros((2, 7))), Arm.panda().jacobian, EstimatorSettings(), source
    )
    assert not outcome.measured
    for values in (outcome.mean_jerk, outcome.mean_angular_jerk):
        assert np.isnan(values)
    for steps in (outcome.step_jerk, outcome.step_angular_jerk):
        assert np.isnan(steps).tolist() == [True, True]
