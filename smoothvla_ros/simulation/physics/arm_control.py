"""robosuite's operational-space control of the arm and the gripper, without its redundant work.

The control law is robosuite's (OSC_POSE, ``robosuite/controllers/osc.py``). robosuite runs the
forward dynamics again for it, looks every name up again, computes the Jacobian four times and
copies each array several times.  The torques are the same to the bit, which needs the same
products of arrays in the same memory layout: see `_ToolState` before simplifying it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from smoothvla_ros.libero import GRIPPER, POSE

_FINGER_DIRECTIONS = np.array([-1.0, 1.0])


class ArmControl:
    """Writes the actuator commands of one robot."""

    def __init__(self, env: Any) -> None:
        """env: what `libero_scene.build` returned.

        Raises RuntimeError if arm or gripper are controlled by another law, or their actuators or
        joints are not consecutive.
        """
        from smoothvla_ros.simulation.physics.operational_space import operational_space_terms

        self._terms = operational_space_terms
        self._model: mujoco.MjModel = env.sim.model._model
        self._data: mujoco.MjData = env.sim.data._data
        self._robot = env.robots[0]
        robot, names = self._robot, env.sim.model
        controller = robot.controller
        _require_law(controller, robot.gripper)
        self._joints = _consecutive(controller.qpos_index)
        self._dofs = _consecutive(controller.qvel_index)
        tool = names.site_name2id(robot.gripper.important_sites['grip_site'])
        self._tool = _ToolState(self._model, self._data, tool, self._dofs)
        self._arm_actuators = _consecutive(robot._ref_joint_actuator_indexes)
        self._lowest_torques, self._highest_torques = robot.torque_limits
        self._gripper_actuators = _consecutive(
            [names.actuator_name2id(actuator) for actuator in robot.gripper.actuators]
        )
        low, high = self._model.actuator_ctrlrange[self._gripper_actuators].T
        self._gripper_middle, self._gripper_half_range = 0.5 * (high + low), 0.5 * (high - low)
        self._goal_position = self._goal_rotation = np.empty(0)
        self._finger_step = np.zeros(len(_FINGER_DIRECTIONS))

    def command(self, action: np.ndarray, is_new: bool) -> None:
        """Set the controls for the next substep; ``mj_step1`` must have run.

        action: [7], tool-pose delta (6) and gripper.  is_new: whether the action is given for the
        first time, as the goal of the arm is a delta from where it is then.
        """
        controller = self._robot.controller
        # Fresh after a reset the controller holds the state from before the init state was set;
        # stock robosuite uses it for one substep, and so do we.
        if controller.new_update:
            torques = self._torques(controller, action, is_new)
        else:
            if is_new:
                self._set_goal(controller, action)
            torques = controller.run_controller()
        self._data.ctrl[self._arm_actuators] = np.minimum(
            np.maximum(torques, self._lowest_torques), self._highest_torques
        )
        self._data.ctrl[self._gripper_actuators] = self._finger_command(action[GRIPPER:], is_new)

    def _torques(self, controller: Any, action: np.ndarray, is_new: bool) -> np.ndarray:
        """Return what ``OperationalSpaceController.run_controller`` does, from the state now."""
        data, tool = self._data, self._tool
        tool.read()
        if is_new:
            controller.ee_pos, controller.ee_ori_mat = tool.position.copy(), tool.rotation.copy()
            controller.new_update = False
            self._set_goal(controller, action)
            controller.new_update = True
        inertia_position, linear, inertia_rotation, angular, null_torques = self._terms(
            self._goal_position,
            self._goal_rotation,
            tool.position,
            tool.rotation,
            tool.linear_velocity,
            tool.angular_velocity,
            controller.kp,
            controller.kd,
            tool.mass_matrix,
            tool.jacobian,
            tool.jacobian_position,
            tool.jacobian_rotation,
            controller.initial_joint,
            data.qpos[self._joints],
            data.qvel[self._dofs],
        )
        force, torque = np.dot(inertia_position, linear), np.dot(inertia_rotation, angular)
        wrench = np.concatenate((force, torque))
        torques = np.dot(tool.jacobian.T, wrench) + data.qfrc_bias[self._dofs]
        torques += null_torques
        return torques

    def _finger_command(self, direction: np.ndarray, is_new: bool) -> np.ndarray:
        """Move the fingers' command on as ``PandaGripper.format_action`` does."""
        gripper = self._robot.gripper
        if is_new:
            self._finger_step = _FINGER_DIRECTIONS * gripper.speed * np.sign(direction)
        gripper.current_action = np.minimum(
            np.maximum(gripper.current_action + self._finger_step, -1.0), 1.0
        )
        return self._gripper_middle + self._gripper_half_range * gripper.current_action

    def _set_goal(self, controller: Any, action: np.ndarray) -> None:
        controller.set_goal(action[POSE])
        self._goal_position = np.array(controller.goal_pos)
        self._goal_rotation = np.array(controller.goal_ori)


class _ToolState:
    """What the control law needs to know of the tool and the arm, in arrays that are kept.

    The layouts are those that robosuite's indexing leads to: products of matrices round
    differently in another.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData, site: int, dofs: slice) -> None:
        """site: of the tool.  dofs: the arm's degrees of freedom, n of the model's nv."""
        self._model, self._data, self._dofs = model, data, dofs
        count = dofs.stop - dofs.start
        self.position = data.site_xpos[site]
        self.rotation = data.site_xmat[site].reshape(3, 3)
        self.linear_velocity = np.empty(3)
        self.angular_velocity = np.empty(3)
        self.jacobian = np.empty((6, count), order='F')
        self.jacobian_position = np.empty((3, count), order='F')
        self.jacobian_rotation = np.empty((3, count), order='F')
        self.mass_matrix = np.empty((count, count), order='F')
        self._site = site
        self._all_position = np.empty((3, model.nv))
        self._all_rotation = np.empty((3, model.nv))
        self._all_masses = np.empty((model.nv, model.nv))

    def read(self) -> None:
        """Bring everything to the state of `data`; poses are views of it."""
        model, data, dofs = self._model, self._data, self._dofs
        mujoco.mj_jacSite(model, data, self._all_position, self._all_rotation, self._site)
        np.dot(self._all_position, data.qvel, out=self.linear_velocity)
        np.dot(self._all_rotation, data.qvel, out=self.angular_velocity)
        self.jacobian_position[:] = self.jacobian[:3] = self._all_position[:, dofs]
        self.jacobian_rotation[:] = self.jacobian[3:] = self._all_rotation[:, dofs]
        mujoco.mj_fullM(model, data, self._all_masses)
        self.mass_matrix[:] = self._all_masses[dofs, dofs]


def _consecutive(indices: Sequence[int] | np.ndarray) -> slice:
    """Return ascending indices without a gap as a slice.  Raises RuntimeError for others."""
    first, count = int(indices[0]), len(indices)
    if list(indices) != list(range(first, first + count)):
        raise RuntimeError(f'the indices {list(indices)} of the robot are not consecutive')
    return slice(first, first + count)


def _require_law(controller: Any, gripper: Any) -> None:
    """Raise RuntimeError unless the laws of arm and gripper are those that are computed here."""
    interpolated = controller.interpolator_pos or controller.interpolator_ori
    fixed = controller.impedance_mode == 'fixed' and controller.uncoupling and not interpolated
    if controller.name != 'OSC_POSE' or not fixed:
        raise RuntimeError(f'{controller.name} is not the controller that LIBERO is built with')
    if type(gripper).__name__ != 'PandaGripper':
        raise RuntimeError(f'{type(gripper).__name__} is not the gripper that LIBERO is built with')
