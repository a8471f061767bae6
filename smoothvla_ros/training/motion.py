"""From a finished episode to what a reward may know of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smoothvla_ros.records import Episode
from smoothvla_ros.smoothness import EstimatorSettings, TooFewSamplesError, mean_jerk, tool_jerk
from smoothvla_ros.training.outcomes import RolloutOutcome

Jacobian = Callable[[np.ndarray], np.ndarray]


def rollout_outcome(
    episode: Episode, jacobian: Jacobian, estimator: EstimatorSettings
) -> RolloutOutcome:
    """Measure the executed motion with the one estimator that the monitor and the report use.

    jacobian: [n] rad -> [6, n].  A motion shorter than one window has no jerk.
    Raises ValueError for joint samples at another rate, or that are not finite.
    """
    trajectory = episode.trajectory
    mean, steps = 0.0, np.zeros(trajectory.steps)
    try:
        jerk = tool_jerk(
            trajectory.joint_positions, jacobian, trajectory.control_period_s, estimator
        )
    except TooFewSamplesError:
        pass
    else:
        mean = mean_jerk(jerk)
        steps = _filled(np.linalg.norm(jerk[:, :3], axis=1))[1:]
    return RolloutOutcome(
        success=bool(episode.success),
        mean_jerk=mean,
        step_jerk=steps,
        step_speed=np.linalg.norm(np.diff(trajectory.tool_positions, axis=0), axis=1)
        / trajectory.control_period_s,
        chunk_steps=tuple(chunk.executed for chunk in episode.chunks),
    )


def _filled(norms: np.ndarray) -> np.ndarray:
    """Give samples without a full window, at both ends, the value of the nearest that has one."""
    measured = np.flatnonzero(~np.isnan(norms))
    return np.interp(np.arange(len(norms)), measured, norms[measured])
