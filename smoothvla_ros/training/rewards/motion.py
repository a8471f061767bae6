"""From a finished episode to what a reward may know of it."""

from __future__ import annotations

from functools import partial

import numpy as np

from smoothvla_ros.records import Episode, Trajectory
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    Jacobian,
    TooFewSamplesError,
    commanded_jerk,
    mean_jerk,
    tool_jerk,
    with_filled_ends,
)
from smoothvla_ros.training.rewards.outcomes import RolloutOutcome

JOINTS, _COMMANDS = JERK_SOURCES = ('joints', 'commands')

_FEWEST_COMMANDS = 3


def rollout_outcome(
    episode: Episode,
    jacobian: Jacobian,
    estimator: EstimatorSettings,
    source: str = 'joints',
) -> RolloutOutcome:
    """Measure the executed motion with the one estimator that the monitor and the report use.

    jacobian: [n] rad -> [6, n].  The jerk of a motion shorter than one window is NaN.
    estimator: at the rate of the control steps, or at a multiple of it, for which the motion is
    read between them.
    source: 'commands' takes the jerk of the path that the actions ask for, whatever the arm did.
    Raises ValueError for joint samples at another rate, or that are not finite.
    """
    trajectory = episode.trajectory
    if source == _COMMANDS:
        mean, translation, rotation = _of_commands(trajectory)
    else:
        mean, translation, rotation = _of_joints(trajectory, jacobian, estimator)
    return RolloutOutcome(
        success=bool(episode.success),
        mean_jerk=mean,
        step_jerk=translation,
        step_angular_jerk=rotation,
        step_speed=np.linalg.norm(np.diff(trajectory.tool_positions, axis=0), axis=1)
        / trajectory.control_period_s,
        chunk_steps=tuple(chunk.executed for chunk in episode.chunks),
        trajectory=trajectory,
    )


def _of_joints(
    trajectory: Trajectory, jacobian: Jacobian, estimator: EstimatorSettings
) -> tuple[float, np.ndarray, np.ndarray]:
    readings = max(1, round(estimator.rate_hz * trajectory.control_period_s))
    positions = _read_between(trajectory, readings)
    try:
        jerk = tool_jerk(positions, jacobian, trajectory.control_period_s / readings, estimator)
    except TooFewSamplesError:
        return _unmeasured(trajectory)
    translation, rotation = (with_filled_ends(norms)[::readings] for norms in _norms(jerk))
    return mean_jerk(jerk), translation[1:], rotation[1:]


def _read_between(trajectory: Trajectory, readings: int) -> np.ndarray:
    """Return the joints `readings` times a control step: [T * readings + 1, n] rad."""
    if readings == 1:
        return trajectory.joint_positions
    substeps = trajectory.substep_joint_positions.astype(np.float64)
    times_s = np.arange(len(substeps)) * trajectory.substep_period_s
    wanted_s = np.arange(trajectory.steps * readings + 1) * trajectory.control_period_s / readings
    return np.stack([np.interp(wanted_s, times_s, column) for column in substeps.T], axis=1)


def _of_commands(trajectory: Trajectory) -> tuple[float, np.ndarray, np.ndarray]:
    if trajectory.steps < _FEWEST_COMMANDS:
        return _unmeasured(trajectory)
    translation, rotation = _norms(commanded_jerk(trajectory.actions, trajectory.control_period_s))
    # A second difference belongs to the middle one of its three commands.
    pad = partial(np.pad, pad_width=1, mode='edge')
    return float(translation.mean()), pad(translation), pad(rotation)


def _unmeasured(trajectory: Trajectory) -> tuple[float, np.ndarray, np.ndarray]:
    nothing = np.full(trajectory.steps, np.nan)
    return np.nan, nothing, nothing


def _norms(jerk: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the norms of translation and rotation [N] of jerks [N, 6]."""
    return np.linalg.norm(jerk[:, :3], axis=1), np.linalg.norm(jerk[:, 3:6], axis=1)
