"""What a reward may know of a group of rollouts: success, the actions and the arm's own motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.records import Trajectory


@dataclass(frozen=True)
class RolloutOutcome:
    """One rollout, cut at first success.

    mean_jerk: m/s^3, mean norm of the tool's translational jerk over the rollout.
    step_jerk: [T] m/s^3, the same norm after each executed control step.
    step_angular_jerk: [T] rad/s^3, the norm of its angular jerk after each.
    These three are NaN for a rollout that is too short to have a jerk; no other is smoother.
    step_speed: [T] m/s, mean speed of the tool during each.
    chunk_steps: [C] executed steps of each chunk; they add up to T.
    trajectory: the actions and the motion that the others are measured on.
    """

    success: bool
    mean_jerk: float
    step_jerk: np.ndarray
    step_angular_jerk: np.ndarray
    step_speed: np.ndarray
    chunk_steps: tuple[int, ...]
    trajectory: Trajectory

    @property
    def measured(self) -> bool:
        """Whether it was long enough to have a jerk."""
        return bool(np.isfinite(self.mean_jerk))

    @property
    def mean_angular_jerk(self) -> float:
        """Mean of `step_angular_jerk`, rad/s^3."""
        return float(self.step_angular_jerk.mean())

    @property
    def steps(self) -> int:
        """Number of executed control steps."""
        return len(self.step_jerk)


@dataclass(frozen=True)
class TaskReference:
    """The starting policy on one task: successful, sampled training episodes; frozen afterwards.

    jerk: m/s^3, J_ref.  angular_jerk: rad/s^3.  steps: mean control steps to success.
    episodes: how many were averaged; 0 where the others are the mean of other tasks.
    """

    jerk: float
    angular_jerk: float
    steps: float
    episodes: int


@dataclass(frozen=True)
class GroupOutcome:
    """Rollouts of one instruction, initial state and scene, to be compared with each other."""

    rollouts: tuple[RolloutOutcome, ...]
    reference: TaskReference

    @property
    def success(self) -> np.ndarray:
        """Which rollouts succeeded, bool [G]."""
        return np.array([rollout.success for rollout in self.rollouts], dtype=bool)

    @property
    def jerk(self) -> np.ndarray:
        """Mean jerk of each rollout, [G] m/s^3; NaN for one that is not `measured`."""
        return np.array([rollout.mean_jerk for rollout in self.rollouts], dtype=np.float64)

    @property
    def measured(self) -> np.ndarray:
        """Which rollouts were long enough to have a jerk, bool [G]."""
        return np.array([rollout.measured for rollout in self.rollouts], dtype=bool)

    @property
    def steps(self) -> np.ndarray:
        """Executed control steps of each rollout, int [G]."""
        return np.array([rollout.steps for rollout in self.rollouts], dtype=np.int64)
