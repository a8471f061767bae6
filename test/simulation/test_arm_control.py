"""The torques of the arm without robosuite's controller in between."""

import numpy as np
import pytest

from smoothvla_ros.simulation.physics.arm_control import ArmControl


def test_another_control_law_is_refused(spatial_environment, monkeypatch):
    """Pins that a law that is not computed here cannot pass for the one that is."""
    controller = spatial_environment.libero.robots[0].controller
    monkeypatch.setattr(controller, 'impedance_mode', 'variable')
    with pytest.raises(RuntimeError, match='OSC_POSE'):
        ArmControl(spatial_environment.libero)


def test_another_gripper_is_refused(spatial_environment, monkeypatch):
    """Pins the same for the fingers, whose commands are computed here too."""
    other = type('RobotiqGripper', (), {})()
    monkeypatch.setattr(spatial_environment.libero.robots[0], 'gripper', other)
    with pytest.raises(RuntimeError, match='RobotiqGripper'):
        ArmControl(spatial_environment.libero)


def test_joints_that_are_not_consecutive_are_refused(spatial_environment, monkeypatch):
    """Pins that no joint of another body is taken for one of the arm's."""
    controller = spatial_environment.libero.robots[0].controller
    monkeypatch.setattr(controller, 'qvel_index', np.array([0, 1, 2, 3, 4, 5, 8]))
    with pytest.raises(RuntimeError, match='consecutive'):
        ArmControl(spatial_environment.libero)
