"""What robots and their joints are called on the topics."""

from __future__ import annotations

PANDA_JOINTS = tuple(f'panda_joint{number}' for number in range(1, 8))
PANDA_GRIPPER_JOINTS = ('panda_finger_joint1', 'panda_finger_joint2')
# LIBERO, and with it every policy trained on it, counts the second finger negative; the robot
# description, and with it joint_states, counts both from closed to open.
LIBERO_FINGER_SIGNS = (1.0, -1.0)
PANDA_BASE_FRAME = 'panda_link0'


def robot_names(count: int) -> tuple[str, ...]:
    """Return the namespaces of `count` robots: robot_0, robot_1, …"""
    return tuple(f'robot_{index}' for index in range(count))
