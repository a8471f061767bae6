"""Checkpoints: a folder an iteration, complete or absent, each file with its hash."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from smoothvla_ros.atomic_files import PREVIOUS, WRITING, new_folder
from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.tensor_files import tensor_file_errors
from smoothvla_ros.policies.weights_folder import file_hashes

POLICY = 'policy'
_MANIFEST = 'manifest.json'
_STATE = 'state.json'
_NAME = re.compile(r'iteration_(\d{4,})')

log = logging.getLogger(__name__)


class DamagedCheckpoint(UserError):
    """A checkpoint whose files are not the ones that were written."""


@dataclass(frozen=True)
class Checkpoint:
    """One complete checkpoint on disk."""

    folder: Path
    iteration: int

    @property
    def policy_folder(self) -> Path:
        """The folder that `Policy.save` wrote."""
        return self.folder / POLICY

    def read_state(self) -> dict[str, Any]:
        """Return the plain values that were saved."""
        state: dict[str, Any] = json.loads((self.folder / _STATE).read_text())
        return state

    def read_tensors(self, name: str) -> dict[str, torch.Tensor]:
        """Return the tensors that were saved under a name."""
        return load_file(self.folder / f'{name}.safetensors')

    def verify(self) -> None:
        """Raise DamagedCheckpoint, naming the first file that is not as it was written."""
        try:
            expected = dict(json.loads((self.folder / _MANIFEST).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise DamagedCheckpoint(f'checkpoint {self.folder}: no readable manifest') from error
        found = file_hashes(self.folder)
        found.pop(_MANIFEST)
        if found == expected:
            return
        names = sorted(expected.keys() | found.keys())
        wrong = next(name for name in names if found.get(name) != expected.get(name))
        if wrong not in expected:
            state = 'is not one of its files (delete it)'
        else:
            state = 'does not match its hash' if wrong in found else 'is missing'
        raise DamagedCheckpoint(f'checkpoint {self.folder}: {wrong} {state}')


class CheckpointStore:
    """The checkpoints of one run: the first, and the latest few."""

    def __init__(self, folder: Path, keep: int) -> None:
        """Keep the latest `keep` in `folder`, and iteration 0, which is where the run began."""
        self._folder = folder
        self._keep = keep

    def iterations(self) -> list[int]:
        """Return the iterations that have a checkpoint, in order, whether intact or not."""
        if not self._folder.is_dir():
            return []
        matches = (_NAME.fullmatch(path.name) for path in self._folder.iterdir())
        return sorted(int(match[1]) for match in matches if match is not None)

    def at(self, iteration: int) -> Checkpoint:
        """Return the checkpoint of an iteration, not yet verified."""
        return Checkpoint(self._folder / f'iteration_{iteration:04d}', iteration)

    def save(
        self,
        iteration: int,
        save_policy: Callable[[Path], None],
        tensors: dict[str, dict[str, torch.Tensor]],
        state: dict[str, Any],
    ) -> Checkpoint:
        """Write a checkpoint, which appears under its name only when it is complete.

        Raises UserError if the folder cannot be written.
        """
        checkpoint = self.at(iteration)
        try:
            self._remove_leftovers()
            with new_folder(checkpoint.folder) as folder:
                save_policy(folder / POLICY)
                for name, values in tensors.items():
                    contiguous = {key: value.detach().contiguous() for key, value in values.items()}
                    with tensor_file_errors():
                        save_file(contiguous, folder / f'{name}.safetensors')
                (folder / _STATE).write_text(json.dumps(state, indent=1))
                (folder / _MANIFEST).write_text(json.dumps(file_hashes(folder), indent=1))
            for old in self.iterations()[: -self._keep]:
                if 0 < old < iteration:
                    self._remove(self.at(old).folder)
        except OSError as error:
            raise UserError(
                f'checkpoint {checkpoint.folder} cannot be written: {error.strerror or error}; '
                'free the disk or give another output folder'
            ) from error
        return checkpoint

    def latest(self) -> Checkpoint | None:
        """Return the newest intact checkpoint, None where there is none at all.

        A damaged one is named in the log and the one before it is used.
        Raises UserError if there are checkpoints and none is intact.
        """
        damaged = []
        for iteration in reversed(self.iterations()):
            checkpoint = self.at(iteration)
            try:
                checkpoint.verify()
            except DamagedCheckpoint as error:
                damaged.append(error)
                continue
            for found in damaged:
                log.warning('%s; using the one before it', found)
            return checkpoint
        if damaged:
            raise UserError(f'{damaged[0]}; every checkpoint is damaged: start in another folder')
        return None

    def _remove_leftovers(self) -> None:
        for ending in (WRITING, PREVIOUS):
            for path in self._folder.glob(f'*{ending}'):
                shutil.rmtree(path)

    def _remove(self, folder: Path) -> None:
        """Delete a checkpoint; a kill in between leaves no half of it under its name."""
        doomed = folder.with_name(f'{folder.name}{PREVIOUS}')
        folder.replace(doomed)
        shutil.rmtree(doomed)
