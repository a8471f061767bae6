"""Episodes as the figures and the video show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.evaluation.episodes.episode_table import jerk_over_time
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import EstimatorSettings


@dataclass(frozen=True)
class EpisodeMotion:
    """One episode.

    times: [T + 1] s.  jerk: [T + 1] m/s^3, NaN where no full window lies around the sample.
    tool_positions: [T + 1, 3] m, robot base frame.
    """

    times: np.ndarray
    jerk: np.ndarray
    tool_positions: np.ndarray


@dataclass(frozen=True)
class MotionPair:
    """The same scene, solved by both policies."""

    title: str
    before: EpisodeMotion
    after: EpisodeMotion


def motion_of(
    episode: StoredEpisode, arm: Arm, estimator: EstimatorSettings | None = None
) -> EpisodeMotion:
    """Return what there is to see of a stored episode, at least one estimator window long."""
    trajectory = episode.trajectory
    return EpisodeMotion(
        times=np.arange(trajectory.steps + 1) * trajectory.control_period_s,
        jerk=jerk_over_time(episode, arm, estimator),
        tool_positions=trajectory.tool_positions.astype(np.float64),
    )
