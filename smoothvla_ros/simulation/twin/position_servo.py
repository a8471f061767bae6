"""Joint position control of the simulated arm, as stiff as the position interface of a real one."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

# Critically damped at 60 rad/s: a real Panda follows its position interface within a few
# milliseconds, and the 500 Hz physics stays far from the edge of stability.
_BANDWIDTH_RAD_S = 60.0
_STIFFNESS = _BANDWIDTH_RAD_S**2
_DAMPING = 2.0 * _BANDWIDTH_RAD_S
# robosuite's gripper moves 1 % of its range a substep of 2 ms; the Franka hand's limit is the same.
_FINGER_SPEED_M_S = 0.1


class PositionServo:
    """Writes the actuator commands that make arm and fingers follow positions.

    Computed torque (Siciliano et al., "Robotics", 8.5.2): the arm's inertia, gravity, Coriolis and
    joint friction are compensated, what it carries is not.
    """

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned."""
        self._model: mujoco.MjModel = env.sim.model._model
        self._data: mujoco.MjData = env.sim.data._data
        robot, names = env.robots[0], env.sim.model
        self._positions = np.array(robot._ref_joint_pos_indexes)
        self._dofs = np.array(robot._ref_joint_vel_indexes)
        self._actuators = np.array(robot._ref_joint_actuator_indexes)
        self._torque_limits = robot.torque_limits
        self._gripper = [names.actuator_name2id(name) for name in robot.gripper.actuators]
        self._finger_ranges = self._model.actuator_ctrlrange[self._gripper]
        self._finger_signs = np.where(self._finger_ranges[:, 1] > 0.0, 1.0, -1.0)
        self._mass_matrix = np.zeros((self._model.nv, self._model.nv))
        self._opening = 0.0

    def reset(self) -> None:
        """Begin with the fingers where their actuators hold them."""
        self._opening = float(np.mean(self._finger_signs * self._data.ctrl[self._gripper]))

    def command(
        self,
        positions: np.ndarray,
        velocities: np.ndarray,
        accelerations: np.ndarray,
        opening_m: float,
    ) -> None:
        """Set the controls for the next substep; ``mj_step1`` must have run.

        positions, velocities, accelerations: [7] rad, rad/s, rad/s^2.  opening_m: of each finger.
        """
        data, dofs = self._data, self._dofs
        mujoco.mj_fullM(self._model, data, self._mass_matrix)
        wanted = (
            accelerations
            + _STIFFNESS * (positions - data.qpos[self._positions])
            + _DAMPING * (velocities - data.qvel[dofs])
        )
        torques = self._mass_matrix[np.ix_(dofs, dofs)] @ wanted
        torques += data.qfrc_bias[dofs] - data.qfrc_passive[dofs]
        data.ctrl[self._actuators] = np.clip(torques, *self._torque_limits)
        step = _FINGER_SPEED_M_S * self._model.opt.timestep
        self._opening += float(np.clip(opening_m - self._opening, -step, step))
        data.ctrl[self._gripper] = np.clip(
            self._finger_signs * self._opening, *self._finger_ranges.T
        )
