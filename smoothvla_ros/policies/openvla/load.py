"""From a folder to an `OpenVLAPolicy`: published files, or what `OpenVLAPolicy.save` wrote."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.hub import cached_snapshot, is_hub_name
from smoothvla_ros.policies.openvla.adapters import ADAPTER_WEIGHTS
from smoothvla_ros.policies.openvla.base import load_base
from smoothvla_ros.policies.openvla.checkpoint import PublishedCheckpoint
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.policies.openvla.settings import (
    SETTINGS,
    detect,
    read_settings,
    settings_of,
)
from smoothvla_ros.policies.openvla.statistics import DataScaling
from smoothvla_ros.user_path import user_path

log = logging.getLogger(__name__)


def load_openvla(
    folder: Path, device: torch.device | str = 'cpu', arm: Arm | None = None
) -> OpenVLAPolicy:
    """Load a policy; see `load_policy`.

    What `openvla.json` does not say is taken from what lies beside the published weights.
    Raises UserError with one line for a folder that is incomplete or of another layout.
    """
    values = read_settings(folder) if (folder / SETTINGS).is_file() else {}
    published = _published(folder, values.get('checkpoint', '.'))
    found = detect(published)
    if found:
        log.info('%s: taken from the files beside the weights: %s', published, found)
    settings = settings_of({**found, **values}, folder / SETTINGS)
    checkpoint = PublishedCheckpoint(published)
    scaling = DataScaling.of(checkpoint.statistics, settings)  # before 15 GB are read
    base = load_base(checkpoint, settings, torch.device(device))
    adapter = None
    if (folder / ADAPTER_WEIGHTS).is_file():
        with base.lock:
            adapter = base.adapters.read(folder)
    return OpenVLAPolicy(base, settings, scaling, arm, adapter)


def _published(folder: Path, checkpoint: str) -> Path:
    """Return the folder of the published files that a policy folder names."""
    path = folder / user_path(checkpoint)
    if path.is_dir():
        return path
    if is_hub_name(checkpoint):
        return cached_snapshot(checkpoint)
    raise UserError(
        f'{folder / SETTINGS}: checkpoint={checkpoint!r} is no folder; put it back, or write '
        'where it lies now'
    )
