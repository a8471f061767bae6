"""An adapted policy as a published folder: adapter merged, every other file as it was."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.policies.openvla.adapters import ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.policies.openvla.settings import SETTINGS
from smoothvla_ros.policies.tensor_files import tensor_file_errors
from smoothvla_ros.policies.weights_folder import HASHES, write_atomically

# Written anew, or merged: an adapter that lies beside its checkpoint would else be applied twice.
_LEFT = (SETTINGS, HASHES, ADAPTER_CONFIGURATION, ADAPTER_WEIGHTS)


@torch.no_grad()
def export(policy: OpenVLAPolicy, folder: Path) -> None:
    """Write the published layout: same files, same names and precision, weights with the adapter.

    The published tools load it. Raises UserError if the folder cannot be written.
    """
    changes = policy.changes()
    source = policy.base.checkpoint.folder
    with write_atomically(folder) as temporary:
        for path in sorted(source.iterdir()):
            if path.name in _LEFT:
                continue
            if path.suffix == '.safetensors':
                tensors = {}
                with safe_open(path, framework='pt') as file:
                    for name in file.keys():  # noqa: SIM118
                        tensors[name] = file.get_tensor(name)
                        change = changes.get(name)
                        if change is not None:
                            merged = tensors[name].float() + change().cpu()
                            tensors[name] = merged.to(tensors[name].dtype)
                with tensor_file_errors():
                    save_file(tensors, temporary / path.name, {'format': 'pt'})
            elif path.is_file():
                shutil.copyfile(path, temporary / path.name)
        settings = to_mapping(replace(policy.settings, checkpoint='.'))
        (temporary / SETTINGS).write_text(json.dumps(settings, indent=2) + '\n')
