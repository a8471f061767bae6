"""What LIBERO reads of a scene's BDDL file: its text without the comments."""

from __future__ import annotations

import re
from pathlib import Path

from smoothvla_ros.errors import UserError


def bddl_text(path: Path) -> str:
    """Return a BDDL file's text without its comments; the lines stay.

    Raises UserError for a file that cannot be read.
    """
    try:
        return re.sub(r';[^\n]*', '', path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{path} cannot be read ({error}); give a BDDL file') from error
