"""Whether a folder can be written, asked before minutes of work and without making it."""

from __future__ import annotations

import os
from pathlib import Path

from smoothvla_ros.errors import UserError


def check_writable(folder: Path, setting: str) -> None:
    """Raise UserError if `folder`, or the first of its parents that exists, cannot be written.

    setting: how a user calls the folder, for the errors, `output=` for example.
    """
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if not existing.is_dir():
        raise UserError(f'{setting}{folder}: {existing} is not a folder; choose another one')
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f'{setting}{folder}: {existing} is not writable; choose another folder')
