"""Where a policy lies, by its name or path. No torch: launch files ask before anything starts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.configuration_file import (
    POLICY_SERVER,
    SMALL_VLA,
    stated_kind,
    unreadable_configuration,
)
from smoothvla_ros.policies.hub import cached_snapshot, is_hub_name
from smoothvla_ros.policies.installed_kinds import installed_kinds
from smoothvla_ros.policies.weights_folder import HASHES
from smoothvla_ros.user_path import user_path

DEFAULT_POLICY = 'default'


def policy_folder(path_or_name: str | Path) -> Path:
    """Return the folder of a policy: the shipped one for ``default``, else the path itself.

    A name such as ``openvla/openvla-7b`` that is no folder here is looked up in the local cache of
    the Hugging Face hub; nothing is ever downloaded.
    Raises UserError for a name of that kind that is not in the cache.
    """
    if str(path_or_name) == DEFAULT_POLICY:
        return Path(str(files('smoothvla_ros.policies') / 'weights' / DEFAULT_POLICY))
    if is_hub_name(path_or_name):
        return cached_snapshot(str(path_or_name))
    return user_path(path_or_name)


def existing_policy_folder(path_or_name: str | Path) -> Path:
    """Return the folder of a policy.  Raises UserError, with what may be given, if it is none."""
    folder = policy_folder(path_or_name)
    if not folder.is_dir():
        raise UserError(
            f'policy {str(path_or_name)!r} not found at {folder}; give {DEFAULT_POLICY!r}, a '
            'folder that `smoothvla sft` or training wrote, or a published OpenVLA checkpoint'
        )
    return folder


def check_small_vla(folder: Path) -> None:
    """Raise UserError for a folder of another kind of policy: no copy would mend it.

    That is one whose configuration names another type, as the hub's policies do. Whether the
    files of a small VLA are whole is not looked at here.
    """
    found = stated_kind(folder)
    brought = ', '.join(map(repr, installed_kinds())) or 'none'
    if found is None and not (folder / HASHES).is_file():
        reason = unreadable_configuration(folder)
        raise UserError(
            f'policy {folder}: no config.json that says what it is{reason and f" ({reason})"}, and '
            f'no {HASHES} of a policy of this package; copy the folder again, or write '
            f'{{"type": …}} into it: "{POLICY_SERVER}", or of a kind that an installed package '
            f'brings ({brought})'
        )
    if found in (None, SMALL_VLA):
        return
    raise UserError(
        f'policy {folder} says in config.json that it is {found!r}: neither a small VLA of this '
        f'package nor OpenVLA, nor a kind that an installed package brings ({brought}); '
        'docs/policy.md, "Another policy", says how one is brought'
    )
