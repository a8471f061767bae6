"""Where the files of config/ lie: in the checkout that is run, or in the share of an install."""

from __future__ import annotations

import os
from pathlib import Path

import smoothvla_ros
from smoothvla_ros.errors import UserError
from smoothvla_ros.user_path import user_path

_REMEDY = 'source the setup file of the workspace or the environment that has smoothvla_ros'


def shipped_file(path: str) -> Path:
    """Return a file of config/, given below it; raises UserError where none is installed."""
    for folder in _config_folders():
        if (folder / path).is_file():
            return folder / path
    raise UserError(f'config/{path} was not found; {_REMEDY}')


def file_or_shipped(name: str, folder: str, setting: str) -> Path:
    """Return a YAML file by its path, or by its name in a folder of config/.

    setting: what the name was given as, for the message.  Raises UserError where there is neither.
    """
    if (path := user_path(name)).is_file():
        return path
    folders = [config / folder for config in _config_folders()]
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


def _config_folders() -> list[Path]:
    """Return where config/ can be: the checkout first, then as ament looks for it."""
    checkout = Path(smoothvla_ros.__file__).resolve().parents[1]
    # The package itself puts the prefix of a pip environment there.
    prefixes = filter(None, os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep))
    shares = [Path(prefix, 'share', smoothvla_ros.__name__) for prefix in prefixes]
    return [place / 'config' for place in (checkout, *shares)]
