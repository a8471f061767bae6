"""The `config.json` of a policy folder, which says what kind of policy lies there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIGURATION = 'config.json'

SMALL_VLA = 'smoothvla_small'
OPENVLA = 'openvla'
POLICY_SERVER = 'policy_server'
"""The kinds of this package, as `stated_kind` returns them."""


def read_configuration(folder: Path) -> dict[str, Any]:
    """Return a folder's `config.json`.  Raises OSError or ValueError where it is none."""
    values = json.loads((folder / CONFIGURATION).read_text(encoding='utf-8'))
    if not isinstance(values, dict):
        raise ValueError('it is no map')
    return values


def stated_kind(folder: Path) -> str | None:
    """Return what a folder's `config.json` says it is, or None where it says nothing readable.

    transformers writes `model_type`, LeRobot `type`.
    """
    try:
        values = read_configuration(folder)
    except (OSError, ValueError):
        return None
    kind = values.get('model_type', values.get('type'))
    return None if kind is None else str(kind)


def unreadable_configuration(folder: Path) -> str:
    """Return why nobody can read a folder's `config.json`, or '' where it is fine or is none."""
    try:
        read_configuration(folder)
    except FileNotFoundError:
        return ''
    except (OSError, ValueError) as error:
        return ' '.join(str(error).split())
    return ''
