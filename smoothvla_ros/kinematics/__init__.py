"""Kinematics of an arm from its URDF. Pinocchio and NumPy only."""

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.inverse import InverseKinematics

__all__ = ['Arm', 'InverseKinematics']
