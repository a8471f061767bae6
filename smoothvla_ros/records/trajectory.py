"""What one episode leaves behind, from which every smoothness number can be computed again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.libero import ACTION_DIMENSION, ARM_JOINTS, CONTROL_PERIOD_S


@dataclass(frozen=True)
class Trajectory:
    """The motion of one episode of T control steps, settle steps left out, cut at first success.

    actions: float64 [T, 7], as commanded: tool-pose delta (6) and gripper (1), each in [-1, 1].
    joint_positions: float64 [T + 1, n] rad, before the first step and after each.
    joint_velocities: float64 [T + 1, n] rad/s.
    tool_positions: float64 [T + 1, 3] m.  tool_rotations: float64 [T + 1, 3, 3]. Robot base frame.
    substep_joint_positions: float32 [T * substeps + 1, n] rad, at the simulator's own step.
    control_period_s, substep_period_s: s.
    """

    actions: np.ndarray
    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    tool_positions: np.ndarray
    tool_rotations: np.ndarray
    substep_joint_positions: np.ndarray
    control_period_s: float
    substep_period_s: float

    @classmethod
    def at_rest(cls, steps: int, joints: int = ARM_JOINTS) -> Trajectory:
        """Return an arm that stood still at zero, at LIBERO's rate: none was kept."""
        return cls(
            actions=np.zeros((steps, ACTION_DIMENSION)),
            joint_positions=np.zeros((steps + 1, joints)),
            joint_velocities=np.zeros((steps + 1, joints)),
            tool_positions=np.zeros((steps + 1, 3)),
            tool_rotations=np.tile(np.eye(3), (steps + 1, 1, 1)),
            substep_joint_positions=np.zeros((steps + 1, joints), np.float32),
            control_period_s=CONTROL_PERIOD_S,
            substep_period_s=CONTROL_PERIOD_S,
        )

    @property
    def steps(self) -> int:
        """Number of control steps that were executed."""
        return len(self.actions)
