"""A policy out of its folder, whichever kind lies there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.folder import check_small_vla, existing_policy_folder
from smoothvla_ros.policies.installed_kinds import installed_kind, load_installed
from smoothvla_ros.policies.policy import Policy

if TYPE_CHECKING:
    # Seconds to import, and a launch file that asks where a policy lies loads none.
    import torch

    from smoothvla_ros.kinematics.arm import Arm

Loader = Callable[[str | Path, str], Policy]
"""Folder and device to a policy, as `load_policy`."""

AUTO_DEVICE = 'auto'
"""Names the GPU where there is one, else the CPU."""


def named_device(name: str) -> str:
    """Return a torch device's name: the name itself, or what `auto` stands for here."""
    if name != AUTO_DEVICE:
        return name
    import torch

    return 'cuda' if torch.cuda.is_available() else 'cpu'


def warn_unused_gpu(device: str) -> None:
    """Print one line where this machine has a GPU and the CPU was chosen, or nothing said."""
    import torch

    if device == 'cpu' and torch.cuda.is_available():
        print('device=cpu, and a GPU is there: device=cuda uses it')


def torch_device(name: str) -> torch.device:
    """Return a torch device that can be used on this machine.  Raises UserError for any other."""
    import torch

    try:
        device = torch.device(named_device(name))
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0]
        raise UserError(
            f'device={name!r} cannot be used here: {reason}; give cpu, cuda where there is a '
            'GPU and a torch that was built for it, or auto'
        ) from error
    return device


def load_policy(path_or_name: str | Path, device: str = 'cpu', arm: Arm | None = None) -> Policy:
    """Load the policy in a folder, or the shipped one by the name ``default``.

    A folder holds what `Policy.save` wrote, a published OpenVLA checkpoint, or a policy of a kind
    that an installed package brings (`installed_kinds`).
    arm: whose kinematics give the proprioception; None is the Panda.
    Raises UserError naming the path and what is wrong with it, or a device that is not here.
    """
    folder = existing_policy_folder(path_or_name)
    place = torch_device(device)
    if (kind := installed_kind(folder)) is not None:
        from smoothvla_ros.kinematics.arm import Arm

        return load_installed(kind, folder, place, arm if arm is not None else Arm.panda())
    # Imported here: transformers takes seconds to import, and few callers load a policy.
    from smoothvla_ros.policies.openvla.load import load_openvla
    from smoothvla_ros.policies.openvla.settings import is_openvla
    from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy

    if is_openvla(folder):
        return load_openvla(folder, place, arm)
    check_small_vla(folder)
    return SmallVLAPolicy.load(folder, place, arm)
