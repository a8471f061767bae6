"""How large a policy's images must be drawn, from its files: known before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.configuration_file import CONFIGURATION, read_configuration
from smoothvla_ros.policies.folder import check_small_vla, existing_policy_folder
from smoothvla_ros.policies.installed_kinds import installed_image_size, installed_kind
from smoothvla_ros.policies.openvla.settings import CAMERA_SIZE, is_openvla


def image_size(path_or_name: str | Path) -> int:
    """Return `PolicySpec.image_size` of the policy that `load_policy` would load, pixels.

    Raises UserError for a policy that is not there, or a configuration that does not say.
    """
    folder = existing_policy_folder(path_or_name)
    if (kind := installed_kind(folder)) is not None:
        return installed_image_size(kind, folder)
    if is_openvla(folder):
        return CAMERA_SIZE
    check_small_vla(folder)
    try:
        return int(read_configuration(folder)['image_size'])
    except (OSError, ValueError, KeyError, TypeError) as error:
        line = ' '.join(str(error).split())
        raise UserError(
            f'policy {folder}: no image_size in {CONFIGURATION} ({line}); copy the policy again'
        ) from error
