"""The motion of an episode while it runs."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.records import Trajectory


class EpisodeRecording:
    """Collects what `Trajectory` holds, from a reset to the first success."""

    def __init__(
        self, action_dimension: int, control_period_s: float, substep_period_s: float
    ) -> None:
        """Begin an episode; `add_state` must follow with the state before the first step."""
        self._action_dimension = action_dimension
        self._control_period_s = control_period_s
        self._substep_period_s = substep_period_s
        self._actions: list[np.ndarray] = []
        self._joint_positions: list[np.ndarray] = []
        self._joint_velocities: list[np.ndarray] = []
        self._tool_positions: list[np.ndarray] = []
        self._tool_rotations: list[np.ndarray] = []
        self._substeps: list[np.ndarray] = []

    def add_step(self, action: np.ndarray, substep_joint_positions: np.ndarray) -> None:
        """Add an executed action and the joints after each of its substeps [substeps, n]."""
        self._actions.append(action)
        self._substeps.append(substep_joint_positions.astype(np.float32))

    def add_state(
        self,
        joint_positions: np.ndarray,
        joint_velocities: np.ndarray,
        tool_pose: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Add the state after a reset or a control step: [n] rad, [n] rad/s, base frame."""
        self._joint_positions.append(joint_positions)
        self._joint_velocities.append(joint_velocities)
        self._tool_positions.append(tool_pose[0])
        self._tool_rotations.append(tool_pose[1])

    def trajectory(self) -> Trajectory:
        """Return the motion so far."""
        first = self._joint_positions[0].astype(np.float32)[None]
        return Trajectory(
            actions=np.array(self._actions).reshape(-1, self._action_dimension),
            joint_positions=np.array(self._joint_positions),
            joint_velocities=np.array(self._joint_velocities),
            tool_positions=np.array(self._tool_positions),
            tool_rotations=np.array(self._tool_rotations),
            substep_joint_positions=np.concatenate([first, *self._substeps]),
            control_period_s=self._control_period_s,
            substep_period_s=self._substep_period_s,
        )
