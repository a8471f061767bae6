"""One control step of robosuite's environment, without its redundant work.

Stock robosuite runs three forward passes in each of the 25 substeps of a control step: one
before the controller, one inside of it and one in ``mj_step``. Only the last is needed:
``mj_step1`` computes all that the controller reads, ``mj_step2`` the rest. The states are the
same to the bit.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from smoothvla_ros.libero import SETTLE_STEPS
from smoothvla_ros.simulation.physics.arm_control import ArmControl

_BASE_BODY = 'robot0_link0'
_HAND_BODY = 'robot0_right_hand'
_TOOL_SITE = 'gripper0_grip_site'
_SETTLE_ACTION = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0])  # stand still, gripper open


class ControlStep:
    """Steps a built environment and reads the robot's state."""

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned."""
        self._env = env
        self.model: mujoco.MjModel = env.sim.model._model
        self.data: mujoco.MjData = env.sim.data._data
        self.control_period_s: float = env.control_timestep
        self.substep_period_s: float = env.model_timestep
        self._substeps = int(env.control_timestep / env.model_timestep)
        self._arm = ArmControl(env)
        robot = env.robots[0]
        self._joint_addresses = np.array(robot._ref_joint_pos_indexes)
        self._velocity_addresses = np.array(robot._ref_joint_vel_indexes)
        self._finger_addresses = np.array(robot._ref_gripper_joint_pos_indexes)
        self._base = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, _BASE_BODY)
        self._hand = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, _HAND_BODY)
        self._tool = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_SITE, _TOOL_SITE)
        # Poses in `data` are those of the last substep's start; this copy's are of its end.
        self._kinematics = mujoco.MjData(self.model)

    def run(self, action: np.ndarray) -> np.ndarray:
        """Execute an action [7] for one control period.

        Returns the joint positions after each substep, [substeps, 7] rad.
        """
        joints = np.empty((self._substeps, len(self._joint_addresses)))
        for substep in range(self._substeps):
            mujoco.mj_step1(self.model, self.data)
            self._arm.command(action, is_new=substep == 0)
            mujoco.mj_step2(self.model, self.data)
            joints[substep] = self.data.qpos[self._joint_addresses]
        return joints

    def settle(self) -> None:
        """Let what was placed come to rest while the arm stands still, as before every episode."""
        for _ in range(SETTLE_STEPS):
            self.run(_SETTLE_ACTION)

    def succeeded(self) -> bool:
        """Return whether the goal of the task is reached, and update what the scene shows of it."""
        success = bool(self._env._check_success())
        self._env._post_process()
        return success

    def joint_positions(self) -> np.ndarray:
        """Return the arm's joints, [7] rad."""
        return self.data.qpos[self._joint_addresses]

    def joint_velocities(self) -> np.ndarray:
        """Return the arm's joint velocities, [7] rad/s."""
        return self.data.qvel[self._velocity_addresses]

    def gripper_positions(self) -> np.ndarray:
        """Return the finger joints, [2] m."""
        return self.data.qpos[self._finger_addresses]

    def tool_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return position [3] m and rotation [3, 3] of the tool in the robot base frame."""
        kinematics = self._kinematics
        kinematics.qpos[:] = self.data.qpos
        mujoco.mj_kinematics(self.model, kinematics)
        base_rotation = kinematics.xmat[self._base].reshape(3, 3)
        offset = kinematics.site_xpos[self._tool] - kinematics.xpos[self._base]
        return base_rotation.T @ offset, base_rotation.T @ kinematics.xmat[self._hand].reshape(3, 3)

    def base_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Return position [3] m and rotation [3, 3] of the robot base in the world."""
        return (
            self.data.xpos[self._base].copy(),
            self.data.xmat[self._base].reshape(3, 3).copy(),
        )
