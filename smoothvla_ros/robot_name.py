"""What a robot is called: the namespace of its topics, and of the nodes that are its own."""

from __future__ import annotations

import re

from smoothvla_ros.errors import UserError

# The first robot, and the only one on an arm.
ROBOT = 'robot_0'
_NAMESPACE = re.compile(r'/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)
RULE = 'use letters, digits and underscores, no digit first, with / between the parts'


def is_namespace(text: str) -> bool:
    """Return whether ROS allows a text, which is not empty, as a namespace."""
    return _NAMESPACE.fullmatch(text) is not None


def require_robot_name(name: str, place: str) -> None:
    """Raise UserError for a robot's name that could be no namespace of topics.

    place: whose setting `robot_name` it is.
    """
    if not is_namespace(name):
        raise UserError(f'{place}: robot_name={name!r} is no ROS name; {RULE}')
