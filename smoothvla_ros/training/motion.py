"""From a finished episode to what a reward may know of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from smoothvla_ros.records import Episode
from smoothvla_ros.smoothness import EstimatorSettings, tool_jerk
from smoothvla_ros.training.outcomes import RolloutOutcome

Jacobian = Callable[[np.ndarray], np.ndarray]


def rollout_outcome(
    episode: Episode, jacobian: Jacobian, estimator: EstimatorSettings
) -> RolloutOutcome:
    """Measure the executed motion with the one estimator that the monitor and the report use.

    jacobian: [n] rad -> [6, n].  Raises ValueError for fewer samples than the estimator needs.
    """
    trajectory = episode.trajectory
    jerk = tool_jerk(
        trajectory.joint_positions, jacobian, trajectory.control_period_s, estimator
    )
    norms = np.linalg.norm(jerk[:, :3], axis=1)
    return RolloutOutcome(
        success=bool(episode.success),
        mean_jerk=float(norms.mean()),
        step_jerk=norms[1:],
        chunk_steps=tuple(chunk.executed for chunk in episode.chunks),
    )
