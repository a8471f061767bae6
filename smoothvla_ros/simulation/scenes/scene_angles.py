"""The angles of a scene's BDDL file, which LIBERO runs as Python when it reads them."""

from __future__ import annotations

import re
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.suites.bddl_text import bddl_text

_ANGLE = re.compile(r'(?!.*\*\*)(?:[-+*/.\d]|e[-+]?\d|(?:np\.)?pi)+')


def require_plain_angles(path: Path) -> None:
    """Refuse an angle that is anything but arithmetic, before LIBERO executes it.

    Raises UserError naming the file and the angle, or for a file that cannot be read.
    """
    depth = 0
    for token in tokens(bddl_text(path).lower()):
        if token == ':yaw_rotation':
            depth = 1
        elif depth:
            depth += (token == '(') - (token == ')')
            if token not in '()' and not _ANGLE.fullmatch(token):
                raise UserError(
                    f'{path}: angle {token!r} of a :yaw_rotation is no number; give radians'
                )


def tokens(text: str) -> list[str]:
    """Return brackets and words, as LIBERO tells them apart."""
    return re.findall(r'[()]|[^\s()]+', text)
