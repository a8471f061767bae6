"""Where installed files lie: in the checkout that is run, or where ament looks for them."""

from __future__ import annotations

import os
from pathlib import Path

import smoothvla_ros
from smoothvla_ros.errors import UserError
from smoothvla_ros.user_path import user_path

_REMEDY = 'source the setup file of the workspace or the environment that has smoothvla_ros'


def shipped_file(path: str) -> Path:
    """Return a file of config/, given below it; raises UserError where none is installed."""
    for folder in shipped_folders('config'):
        if (folder / path).is_file():
            return folder / path
    raise UserError(f'config/{path} was not found; {_REMEDY}')


def file_or_shipped(name: str, folder: str, setting: str) -> Path:
    """Return a YAML file by its path, or by its name in a folder of config/.

    setting: what the name was given as, for the message.  Raises UserError where there is neither.
    """
    if (path := user_path(name)).is_file():
        return path
    folders = [config / folder for config in shipped_folders('config')]
    for place in folders:
        if (place / f'{name}.yaml').is_file():
            return place / f'{name}.yaml'
    known = sorted({file.stem for place in folders for file in place.glob('*.yaml')})
    if not known:
        raise UserError(
            f'{setting}: {name!r} is no file, and config/{folder} was not found; {_REMEDY}'
        )
    raise UserError(
        f'{setting}: {name!r} is no file and not in config/{folder} ({", ".join(known)}); give a '
        'name from there or the path of a YAML file'
    )


def shipped_folders(name: str) -> list[Path]:
    """Return where a top folder of ours can be: in the checkout, then as ament looks for it."""
    checkout = Path(smoothvla_ros.__file__).resolve().parents[1]
    shares = [prefix / 'share' / smoothvla_ros.__name__ for prefix in ament_prefixes()]
    return [place / name for place in (checkout, *shares)]


def ament_prefixes() -> list[Path]:
    """Return where ROS packages are installed, the first found counts.

    The package itself puts the prefix of a pip environment there.
    """
    return [
        Path(prefix)
        for prefix in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep)
        if prefix
    ]
