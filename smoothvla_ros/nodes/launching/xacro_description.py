"""A robot's description with its ros2_control part, made by xacro before any node starts."""

from __future__ import annotations

from pathlib import Path
from xml.parsers.expat import ExpatError

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.example_urdf import with_mesh_files
from smoothvla_ros.kinematics.robot import panda_description

# As urdf/panda.urdf.xacro and copies of it say where the links are.
_PANDA_LINKS = '$(find example-robot-data)/robots/panda_description/urdf/panda.urdf'


def xacro_description(file: str, hardware: str, robot_ip: str, links: str) -> str:
    """Return the URDF that a xacro makes for the hardware `real` or `mock`.

    links: the file that has the links, as the argument `description` of the xacro; empty: as the
    xacro says.
    Raises UserError where there is no xacro, and for whatever it complains of.
    """
    try:
        import xacro
    except ImportError as error:
        raise UserError(
            f'hardware:={hardware} needs xacro and ros2_control; install and source ROS 2 Jazzy, '
            'or use hardware:=twin'
        ) from error
    mappings = {'hardware_type': hardware, 'robot_ip': robot_ip}
    if links or _has_panda_links(file):
        # Where pip installed example-robot-data, ROS and therefore xacro do not find it.
        mappings['description'] = links or str(panda_description().urdf_path)
    try:
        return with_mesh_files(xacro.process_file(file, mappings=mappings).toxml())
    except (xacro.XacroException, ExpatError) as error:
        # The lines after the first one repeat the expression.
        reason = str(error).splitlines()[0].strip()
        raise UserError(f'description:={file} makes no URDF: {reason}') from error


def _has_panda_links(file: str) -> bool:
    try:
        return _PANDA_LINKS in Path(file).read_text()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'it is no text'
        raise UserError(f'description:={file}: {reason}; give a xacro or URDF') from error
