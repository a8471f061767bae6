"""What robots and their joints are called on the topics."""

from __future__ import annotations

from smoothvla_ros.errors import UserError

# Where an arm's joints are said, unless a setting names another topic.
MEASURED = 'joint_states'
PANDA_GRIPPER_JOINTS = ('panda_finger_joint1', 'panda_finger_joint2')


def robot_names(count: int) -> tuple[str, ...]:
    """Return the namespaces of `count` robots: robot_0, robot_1, …"""
    return tuple(f'robot_{index}' for index in range(count))


def robot_topic(robot: str, topic: str) -> str:
    """Return a topic in the robot's namespace; one that begins with / is taken as it is."""
    return topic if topic.startswith('/') else f'{robot}/{topic}'


def require_one_robot(node: str, topic: str, robots: int, name: str = MEASURED) -> None:
    """Raise UserError where several robots would be read from one and the same topic.

    name: of the setting that names the topic.
    """
    if topic.startswith('/') and robots != 1:
        raise UserError(
            f'{node}: {name}={topic} is the topic of one robot, but robots={robots}; '
            'set robots to 1, or leave the / out for robot_0/…, robot_1/…'
        )
