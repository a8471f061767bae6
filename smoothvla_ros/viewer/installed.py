"""Whether Rerun is there; it is half a gigabyte, and only the viewer needs it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from smoothvla_ros.errors import UserError


def rerun_program() -> Path:
    """Return the program that the wheel of rerun-sdk brings; not its wrapper in Python.

    Raises UserError where rerun-sdk is not installed.
    """
    found = importlib.util.find_spec('rerun_cli')
    if found is None or found.origin is None:
        raise UserError(
            "viewer:=rerun needs rerun-sdk; install it with pip install 'rerun-sdk>=0.41,<0.42'"
        )
    return Path(found.origin).with_name('rerun')
