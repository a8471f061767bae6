"""The angles of a scene's BDDL file, which LIBERO runs as Python when it reads them."""

from __future__ import annotations

import re
from pathlib import Path

from smoothvla_ros.errors import UserError

_ANGLE = re.compile(r'(?!.*\*\*)(?:[-+*/.\d]|e[-+]?\d|(?:np\.)?pi)+')


def require_plain_angles(path: Path) -> None:
    """Refuse an angle that is anything but arithmetic, before LIBERO executes it.

    Raises UserError naming the file and the angle, or for a file that cannot be read.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path} cannot be read ({error}); give a BDDL file') from error
    depth = 0
    for token in tokens(without_comments(text).lower()):
        if token == ':yaw_rotation':
            depth = 1
        elif depth:
            depth += (token == '(') - (token == ')')
            if token not in '()' and not _ANGLE.fullmatch(token):
                raise UserError(
                    f'{path}: angle {token!r} of a :yaw_rotation is no number; give radians'
                )


def without_comments(text: str) -> str:
    """Return a BDDL file's text as LIBERO reads it on."""
    return re.sub(r';[^\n]*', '', text)


def tokens(text: str) -> list[str]:
    """Return brackets and words, as LIBERO tells them apart."""
    return re.findall(r'[()]|[^\s()]+', text)
