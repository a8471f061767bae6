"""The Panda of `kinematics` and the Panda that LIBERO simulates are one arm."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from smoothvla_ros.kinematics import Arm


@pytest.fixture(scope='module')
def simulated_panda():
    """The Panda of robosuite with its gripper, compiled without any task."""
    from robosuite.models.grippers import gripper_factory
    from robosuite.models.robots import Panda

    robot = Panda(idn=0)
    robot.add_gripper(gripper_factory('PandaGripper', idn=0))
    model = mujoco.MjModel.from_xml_string(robot.get_xml())
    return model, mujoco.MjData(model)


def _joint_vectors(count: int) -> np.ndarray:
    low = np.array([-2.8, -1.7, -2.8, -3.0, -2.8, 0.0, -2.8])
    high = np.array([2.8, 1.7, 2.8, -0.1, 2.8, 3.7, 2.8])
    return np.random.default_rng(7).uniform(low, high, size=(count, 7))


def test_tool_is_the_end_effector_of_the_simulator(simulated_panda):
    """Position and Jacobian are the grip site's, rotation the hand's, relative to link0.

    That is robosuite's robot0_eef_pos and robot0_eef_quat. The site's own axes are turned by
    -90 degrees about the tool's z, which no twist in base axes can see.
    """
    model, data = simulated_panda
    arm = Arm.panda()
    joints = [model.joint(f'robot0_joint{i}') for i in range(1, 8)]
    qpos = np.array([joint.qposadr[0] for joint in joints])
    columns = np.array([joint.dofadr[0] for joint in joints])
    site = model.site('gripper0_grip_site').id
    for joint_positions in _joint_vectors(20):
        data.qpos[qpos] = joint_positions
        mujoco.mj_forward(model, data)
        base = data.body('robot0_link0')
        axes = base.xmat.reshape(3, 3)
        position, rotation = arm.tool_pose(joint_positions)

        np.testing.assert_allclose(
            position, axes.T @ (data.site_xpos[site] - base.xpos), rtol=0, atol=2e-6
        )
        # The simulator writes the 45 degrees of its hand as 0.924 and 0.383: 0.5 mrad about z.
        np.testing.assert_allclose(
            rotation, axes.T @ data.body('robot0_right_hand').xmat.reshape(3, 3), rtol=0, atol=6e-4
        )
        linear, angular = np.zeros((2, 3, model.nv))
        mujoco.mj_jacSite(model, data, linear, angular, site)
        expected = np.concatenate([axes.T @ linear[:, columns], axes.T @ angular[:, columns]])
        np.testing.assert_allclose(arm.jacobian(joint_positions), expected, rtol=0, atol=1e-5)
