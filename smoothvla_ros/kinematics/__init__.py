"""Kinematics of an arm from its URDF. Pinocchio and NumPy only."""

from importlib import import_module
from importlib.util import find_spec

# `ros2 launch` runs under the system's Python, and that reads no .pth file of a folder which is on
# PYTHONPATH. The module that pinocchio's .pth file imports puts pinocchio on the path.
if find_spec('pinocchio') is None and find_spec('cmeel_pth') is not None:
    import_module('cmeel_pth')

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.inverse import InverseKinematics

__all__ = ['Arm', 'InverseKinematics']
