"""An arm by the name of a file that comes along, or by a file of one's own."""

from __future__ import annotations

from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.shipped_files import file_or_shipped


def described_robot(name: str, urdf: str = '') -> RobotDescription:
    """Return the arm of a file, or of a name in config/robots.

    urdf: in place of its file's, if not empty.  Raises UserError where there is no such file, or
    something is wrong with it.
    """
    return RobotDescription.from_file(file_or_shipped(name, 'robots', 'robot'), urdf)
