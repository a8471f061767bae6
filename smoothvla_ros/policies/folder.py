"""Where a policy lies, by its name or path. No torch: launch files ask before anything starts."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.hub import cached_snapshot, is_hub_name

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
    return Path(path_or_name)


def existing_policy_folder(path_or_name: str | Path) -> Path:
    """Return the folder of a policy.  Raises UserError, with what may be given, if it is none."""
    folder = policy_folder(path_or_name)
    if not folder.is_dir():
        raise UserError(
            f'policy {str(path_or_name)!r} not found at {folder}; give {DEFAULT_POLICY!r}, a '
            'folder that `smoothvla sft` or training wrote, or a published OpenVLA checkpoint'
        )
    return folder
