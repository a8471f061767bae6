"""Paths as a user writes them: a shell leaves the ~ of `name:=~/x` and `--name=~/x` as it is."""

from __future__ import annotations

from pathlib import Path

from smoothvla_ros.errors import UserError


def user_path(text: str | Path, place: str = '') -> Path:
    """Return a path with a ~ or ~name at its beginning replaced by that user's home folder.

    place: where it was given, for the message.
    Raises UserError where there is no such user, or nothing says where the home is.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        home = str(text).partition('/')[0]
        raise UserError(
            f'{place}{text}: {home} is no home folder here; write the path from /'
        ) from error
