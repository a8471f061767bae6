"""The identity of an episode, the request for one, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from smoothvla_ros.records.observation import Observation
from smoothvla_ros.records.trajectory import Trajectory


@dataclass(frozen=True, order=True)
class EpisodeName:
    """The scene an episode starts from: the same name is the same scene in any worker."""

    suite: str
    task: int
    init_state: int
    scene_seed: int


@dataclass(frozen=True)
class EpisodeRequest:
    """One rollout that a trainer or an evaluator wants.

    episode_id: unique within a run and sortable, for example ``i0003-g02-r05``.
    group: rollouts with one group number share `name` and are compared with each other.
    temperature: of the sampling; 0 is greedy.
    seed: of the run; with `episode_id` and the chunk's index it fixes every sampled token.
    policy_version: the version that must answer; another version refuses.
    horizon: most control steps; None is the suite's own.
    """

    episode_id: str
    name: EpisodeName
    group: int
    temperature: float
    seed: int
    policy_version: int
    attempt: int = 0
    horizon: int | None = None


@dataclass(frozen=True)
class ChunkRecord:
    """One decision of the policy within an episode.

    tokens: int64 [chunk, dimension].  log_probs: float32 [chunk, dimension], at the temperature
    that sampled them.  executed: how many of the chunk's steps were run before the episode ended.
    """

    observation: Observation
    tokens: np.ndarray
    log_probs: np.ndarray
    executed: int


@dataclass(frozen=True)
class Episode:
    """A finished rollout: complete, with all its chunks in order."""

    request: EpisodeRequest
    success: bool
    trajectory: Trajectory
    chunks: list[ChunkRecord] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """Number of control steps that were executed."""
        return self.trajectory.steps
