"""Kinds of policies that other installed packages bring, known by what a folder says it is."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.configuration_file import (
    OPENVLA,
    POLICY_SERVER,
    SMALL_VLA,
    stated_kind,
)
from smoothvla_ros.user_function import own_code

if TYPE_CHECKING:
    # Seconds to import, and a launch file that asks for the size of the images loads no policy.
    import torch

    from smoothvla_ros.kinematics.arm import Arm
    from smoothvla_ros.policies.policy import Policy, PolicySpec

GROUP = 'smoothvla_ros.policies'
"""Entry points of this group are kinds; the name of each is what `stated_kind` returns."""

_FUNCTIONS = ('load', 'image_size')


class PolicyKind(Protocol):
    """What an entry point names: a module, or any object, with these two functions."""

    def load(self, folder: Path, device: torch.device, arm: Arm) -> Policy:
        """Return the policy in a folder; see `load_policy`."""
        ...

    def image_size(self, folder: Path) -> int:
        """Return `PolicySpec.image_size`, pixels, without loading the weights."""
        ...


def installed_kind(folder: Path) -> PolicyKind | None:
    """Return the kind that a folder states, or None: it has weights of this package, or none.

    Nothing in the folder is executed: it names a kind, and only what was installed as one runs.
    Raises UserError where two packages bring that kind, or one does not hold what it must.
    """
    stated = stated_kind(folder)
    if stated is None or stated in (SMALL_VLA, OPENVLA):
        return None
    if stated == POLICY_SERVER:
        # Of this package, and brought as any other is. Imported here: it takes seconds, for torch,
        # and a launch file asks of other kinds as well.
        from smoothvla_ros.policies.policy_server import policy

        return policy
    found = tuple(entry_points(group=GROUP, name=stated))
    if not found:
        return None
    if len({entry.value for entry in found}) > 1:
        raise UserError(
            f'policies of kind {stated!r} are brought by '
            f'{" and ".join(sorted(map(_origin, found)))}; uninstall all but one'
        )
    return _loaded(found[0])


def load_installed(kind: PolicyKind, folder: Path, device: torch.device, arm: Arm) -> Policy:
    """Return the policy that a kind loads from a folder.

    Raises UserError, with the error of the kind's own code, if it loads none, or one whose spec
    cannot be or is not what its `image_size` says.
    """
    name = stated_kind(folder)
    with own_code(f'policy {folder}: `load` of kind {name!r} failed:'):
        policy = kind.load(folder, device, arm)
    place = f'policy {folder}: kind {name!r}'
    for attribute in ('spec', 'module', 'act'):
        if not hasattr(policy, attribute):
            raise UserError(
                f'{place} loaded {type(policy).__name__}, which has no {attribute}; return a Policy'
            )
    _check_spec(policy.spec, place)
    drawn = installed_image_size(kind, folder)
    if drawn != policy.spec.image_size:
        raise UserError(
            f'{place}: image_size(folder) says {drawn} pixels and spec.image_size '
            f'{policy.spec.image_size}; let both say the same'
        )
    return policy


def installed_image_size(kind: PolicyKind, folder: Path) -> int:
    """Return what a kind says of a folder.  Raises UserError where its own code fails."""
    with own_code(f'policy {folder}: `image_size` of kind {stated_kind(folder)!r} failed:'):
        return int(kind.image_size(folder))


def require_same_kind(saved: Path, start: Path) -> None:
    """Raise UserError where what a kind's `save` wrote does not say what its start said."""
    expected = stated_kind(start)
    if installed_kind(start) is not None and stated_kind(saved) != expected:
        raise UserError(
            f'policy {saved}: `save` of kind {expected!r} wrote no config.json that says so; let '
            f'it write {{"type": "{expected}"}}, or no checkpoint can be loaded'
        )


def installed_kinds() -> tuple[str, ...]:
    """Return the names of the kinds that other packages bring, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=GROUP)}))


def _loaded(entry: EntryPoint) -> PolicyKind:
    place = f'policies of kind {entry.name!r} come from {_origin(entry)}, which cannot be imported:'
    with own_code(place):
        kind = entry.load()
    missing = [name for name in _FUNCTIONS if not callable(getattr(kind, name, None))]
    if missing:
        raise UserError(
            f'policies of kind {entry.name!r} come from {_origin(entry)}, which has no function '
            f'{missing[0]!r}; docs/policy.md says what such a package holds'
        )
    return cast(PolicyKind, kind)


def _check_spec(spec: PolicySpec, place: str) -> None:
    for name in ('chunk', 'action_dimension', 'bins', 'image_size'):
        value = getattr(spec, name)
        if not isinstance(value, int) or value < 1:
            raise UserError(f'{place}: spec.{name}={value!r}; give a whole number, 1 or more')


def _origin(entry: EntryPoint) -> str:
    package = '' if entry.dist is None else f' of {entry.dist.name}'
    return f'{entry.value}{package}'
