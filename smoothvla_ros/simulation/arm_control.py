"""robosuite's operational-space control of the arm and the gripper, without its redundant work.

The control law is robosuite's own code (OSC_POSE, ``robosuite/controllers/osc.py``). Only the
reading of the state is ours: robosuite's runs the forward dynamics again, looks every name up
again and computes the Jacobian four times. The torques are the same to the bit, which needs the
same arrays in the same memory layout: see `_read_state` before simplifying it.
"""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np


class ArmControl:
    """Writes the actuator commands of one robot."""

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned."""
        self._model: mujoco.MjModel = env.sim.model._model
        self._data: mujoco.MjData = env.sim.data._data
        self._robot = env.robots[0]
        robot, names = self._robot, env.sim.model
        self._tool = names.site_name2id(robot.gripper.important_sites['grip_site'])
        self._arm_actuators = np.array(robot._ref_joint_actuator_indexes)
        self._torque_limits = robot.torque_limits
        self._gripper_actuators = [names.actuator_name2id(a) for a in robot.gripper.actuators]
        low, high = self._model.actuator_ctrlrange[self._gripper_actuators].T
        self._gripper_middle, self._gripper_half_range = 0.5 * (high + low), 0.5 * (high - low)
        self._jacobian_position = np.zeros((3, self._model.nv))
        self._jacobian_rotation = np.zeros((3, self._model.nv))
        self._mass_matrix = np.zeros((self._model.nv, self._model.nv))

    def command(self, action: np.ndarray, is_new: bool) -> None:
        """Set the controls for the next substep; ``mj_step1`` must have run.

        action: [7], tool-pose delta (6) and gripper.  is_new: whether the action is given for the
        first time, as the goal of the arm is a delta from where it is then.
        """
        controller = self._robot.controller
        # Fresh after a reset the controller holds the state from before the init state was set;
        # stock robosuite uses it for one substep, and so do we.
        if controller.new_update:
            self._read_state(controller)
        if is_new:
            controller.set_goal(action[:6])
        torques = controller.run_controller()
        self._data.ctrl[self._arm_actuators] = np.clip(torques, *self._torque_limits)
        opening = self._robot.gripper.format_action(action[6:])
        self._data.ctrl[self._gripper_actuators] = (
            self._gripper_middle + self._gripper_half_range * opening
        )

    def _read_state(self, controller: Any) -> None:
        """Do what ``Controller.update`` does, from the state that is there."""
        model, data = self._model, self._data
        joints, dofs = controller.qpos_index, controller.qvel_index
        velocities = data.qvel
        mujoco.mj_jacSite(model, data, self._jacobian_position, self._jacobian_rotation, self._tool)
        controller.ee_pos = data.site_xpos[self._tool].copy()
        controller.ee_ori_mat = data.site_xmat[self._tool].reshape(3, 3).copy()
        controller.ee_pos_vel = np.dot(self._jacobian_position, velocities)
        controller.ee_ori_vel = np.dot(self._jacobian_rotation, velocities)
        controller.joint_pos = data.qpos[joints]
        controller.joint_vel = velocities[dofs]
        controller.J_pos = np.array(self._jacobian_position[:, dofs])
        controller.J_ori = np.array(self._jacobian_rotation[:, dofs])
        controller.J_full = np.vstack([controller.J_pos, controller.J_ori])
        mujoco.mj_fullM(model, data, self._mass_matrix)
        controller.mass_matrix = self._mass_matrix[dofs, :][:, dofs]
        controller.new_update = False
