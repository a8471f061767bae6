"""Kinematics of an arm from its URDF. Pinocchio and NumPy only."""

from smoothvla_ros.kinematics.arm import Arm

__all__ = ['Arm']
