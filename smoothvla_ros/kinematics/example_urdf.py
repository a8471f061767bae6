"""Where the robot descriptions that come with example-robot-data lie on this machine."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.shipped_files import ament_prefixes

_PACKAGE = 'example-robot-data'


def example_urdf(relative_path: str) -> Path:
    """Return a URDF of example-robot-data, from its wheel or from a sourced ROS 2 install.

    relative_path: below the package's folder of robots, with forward slashes, for example
    ``panda_description/urdf/panda.urdf``.  Raises UserError where there is no such file.
    """
    for file in _files_of_the_wheel():
        if file.as_posix().endswith(f'{_PACKAGE}/robots/{relative_path}'):
            return file
    for prefix in ament_prefixes():
        file = prefix / 'share' / _PACKAGE / 'robots' / relative_path
        if file.is_file():
            return file
    raise UserError(
        f'robot description {relative_path} was not found; install {_PACKAGE} '
        '(pip, or the ROS 2 package of that name)'
    )


def with_mesh_files(urdf: str) -> str:
    """Return a URDF whose meshes of example-robot-data are files where only its wheel has them.

    ROS 2 tools look for ``package://`` among the packages that are sourced, and find no wheel.
    """
    for file in _files_of_the_wheel():
        share = next((p for p in file.parents if p.name == _PACKAGE), None)
        if share is not None:
            return urdf.replace(f'package://{_PACKAGE}/', f'{share.resolve().as_uri()}/')
    return urdf


def _files_of_the_wheel() -> list[Path]:
    try:
        files = metadata.files(_PACKAGE) or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())) for file in files if file.suffix == '.urdf']
