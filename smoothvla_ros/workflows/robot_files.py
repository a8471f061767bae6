"""`--robot`: an arm by the name of a file that comes along, or by a file of one's own."""

from __future__ import annotations

import sys
from pathlib import Path

import smoothvla_ros
from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.errors import UserError


def described_robot(name: str, urdf: str = '') -> RobotDescription:
    """Return an arm; urdf: in place of its file's, if not empty.

    Raises UserError where there is no such file, or something is wrong with it.
    """
    return RobotDescription.from_file(_file(name), urdf)


def _file(name: str) -> Path:
    """Return the file of a robot: a path, or the name of one that comes with the package.

    Raises UserError where there is none.
    """
    if Path(name).is_file():
        return Path(name)
    package = Path(smoothvla_ros.__file__).resolve().parents[1]
    installed = Path(sys.prefix, 'share', 'smoothvla_ros')
    folders = [root / 'config' / 'robots' for root in (package, installed)]
    for folder in folders:
        if (folder / f'{name}.yaml').is_file():
            return folder / f'{name}.yaml'
    known = sorted({file.stem for folder in folders for file in folder.glob('*.yaml')})
    raise UserError(
        f'--robot {name}: no such file, and the robots that come along are {", ".join(known)}'
    )
