"""Training state on disk: tensors as safetensors, the rest as JSON, both under one folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from smoothvla_ros.atomic_files import PREVIOUS, new_folder
from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.tensor_files import tensor_file_errors

_TENSORS = 'state.safetensors'
_RECORD = 'state.json'


@dataclass(frozen=True)
class TrainingState:
    """Everything that the next step depends on besides data and settings."""

    step: int
    seconds: float
    model: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor]
    optimiser: dict[str, torch.Tensor]
    record: dict[str, Any]


def write_state(folder: Path, state: TrainingState) -> None:
    """Replace the state in `folder`; a reader sees the old one or the new one, never a mixture."""
    tensors = {
        f'{part}/{name}': tensor.detach().contiguous().clone()
        for part in ('model', 'average', 'optimiser')
        for name, tensor in getattr(state, part).items()
    }
    record = {'step': state.step, 'seconds': state.seconds, **state.record}
    with new_folder(folder) as temporary:
        with tensor_file_errors():
            save_file(tensors, temporary / _TENSORS)
        (temporary / _RECORD).write_text(json.dumps(record))


def read_state(folder: Path) -> TrainingState | None:
    """Return the state in `folder`, the one before it if a crash fell between the two, or None.

    Raises UserError naming a damaged file.
    """
    for candidate in (folder, folder.with_name(f'{folder.name}{PREVIOUS}')):
        if not candidate.exists():
            continue
        try:
            record = json.loads((candidate / _RECORD).read_text())
            tensors = load_file(candidate / _TENSORS)
            step, seconds = record.pop('step'), record.pop('seconds')
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise UserError(
                f'training state {candidate} is damaged ({error}); delete this folder to start over'
            ) from error
        parts: dict[str, dict[str, torch.Tensor]] = {'model': {}, 'average': {}, 'optimiser': {}}
        for key, tensor in tensors.items():
            part, name = key.split('/', 1)
            parts[part][name] = tensor
        return TrainingState(step, seconds, record=record, **parts)
    return None
