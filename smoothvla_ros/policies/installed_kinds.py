"""Kinds of policies that other installed packages bring, known by what a folder says it is."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from smoothvla_ros.errors import UserError

if TYPE_CHECKING:
    # Seconds to import, and a launch file that asks for the size of the images loads no policy.
    import torch

    from smoothvla_ros.kinematics.arm import Arm
    from smoothvla_ros.policies.policy import Policy

GROUP = 'smoothvla_ros.policies'
"""Entry points of this group are kinds; the name of each is what `stated_kind` returns."""

SMALL_VLA = 'smoothvla_small'
OPENVLA = 'openvla'

_CONFIGURATION = 'config.json'
_FUNCTIONS = ('load', 'image_size')


class PolicyKind(Protocol):
    """What an entry point names: a module, or any object, with these two functions."""

    def load(self, folder: Path, device: torch.device, arm: Arm | None) -> Policy:
        """Return the policy in a folder; see `load_policy`."""
        ...

    def image_size(self, folder: Path) -> int:
        """Return `PolicySpec.image_size`, pixels, without loading the weights."""
        ...


def stated_kind(folder: Path) -> str | None:
    """Return what a folder's `config.json` says it is, or None where it says nothing.

    transformers writes `model_type`, LeRobot `type`.
    """
    try:
        values = json.loads((folder / _CONFIGURATION).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict):
        return None
    kind = values.get('model_type', values.get('type'))
    return None if kind is None else str(kind)


def installed_kind(folder: Path) -> PolicyKind | None:
    """Return the installed kind that a folder states, or None: it is one of this package, or none.

    Nothing in the folder is executed: it names a kind, and only what was installed as one runs.
    Raises UserError where two packages bring that kind, or one does not hold what it must.
    """
    stated = stated_kind(folder)
    if stated is None or stated in (SMALL_VLA, OPENVLA):
        return None
    found = tuple(entry_points(group=GROUP, name=stated))
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        raise UserError(
            f'policies of kind {stated!r} are brought by '
            f'{" and ".join(sorted(map(_origin, found)))}; uninstall all but one'
        )
    return _loaded(found[0])


def installed_kinds() -> tuple[str, ...]:
    """Return the names of the kinds that other packages bring, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def _loaded(entry: EntryPoint) -> PolicyKind:
    try:
        kind = entry.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f'policies of kind {entry.name!r} come from {_origin(entry)}, which cannot be '
            f'imported: {error}; mend that package or uninstall it'
        ) from error
    missing = [name for name in _FUNCTIONS if not callable(getattr(kind, name, None))]
    if missing:
        raise UserError(
            f'policies of kind {entry.name!r} come from {_origin(entry)}, which has no function '
            f'{missing[0]!r}; docs/policy.md says what such a package holds'
        )
    return cast(PolicyKind, kind)


def _origin(entry: EntryPoint) -> str:
    package = '' if entry.dist is None else f' of {entry.dist.name}'
    return f'{entry.value}{package}'
