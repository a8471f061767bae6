"""The folder that a run owns: one run, one writer, nothing of another's overwritten."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import default_mapping, to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.simulation.tasks import RECORDED_STATE, recorded_state
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.writable_folder import check_writable

_RECORD = 'run.json'

# What may differ when a run goes on: it changes where, how fast, in how much memory and what is
# kept, not what is learnt; of the weights the last bits, by how an update's sums are taken apart.
_FREE = (
    'output',
    'resume',
    'robots',
    'keep_checkpoints',
    'attempts',
    'evaluate_every',
    'train_episodes',
    'micro_batch',
    'micro_tokens',
    'threads',
    'video',
)


class RunFolder:
    """Hold an output folder for a run; a context manager that lets go of it at the end."""

    def __init__(self, config: TrainConfig, files: Iterable[str]) -> None:
        """Check and lock `config.output`. files: names that the run will write into it.

        Raises UserError, before anything is changed, if the folder cannot be written, is in use, or
        holds something that is not an unfinished or finished run of these very settings.
        """
        self.path = config.output
        self._claim: dict[str, Any] = {
            'config': to_mapping(config),
            **recorded_state(config.suite, config.task_indices),
        }
        self._record = self.path / _RECORD
        check_folder(config, files)
        self._lock = FolderLock(self.path, 'output=')

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    @property
    def finished(self) -> bool:
        """Whether the run was completed, with as many iterations as are asked for now."""
        if not self._record.exists():
            return False
        found = _read(self._record)
        before, now = (values['iterations'] for values in (found['config'], self._claim['config']))
        return bool(found['finished']) and before == now

    def claim(self) -> None:
        """Say whose folder this is, before the first result is written into it.

        Not earlier: a run that cannot begin, its policy misspelt, must not keep others out.
        """
        self._write(self._claim | {'finished': False})

    def finish(self) -> None:
        """Remember that the run is complete."""
        self._write(self._claim | {'finished': True})

    def _write(self, record: dict[str, Any]) -> None:
        write_file(self._record, json.dumps(record, indent=1) + '\n')


def check_folder(config: TrainConfig, files: Iterable[str]) -> None:
    """Raise UserError if the run of `config` may not be written to its output folder."""
    folder, record = config.output, config.output / _RECORD
    check_writable(folder, 'output=')
    if not record.exists():
        for name in files:
            if (folder / name).exists():
                raise UserError(
                    f'output={folder} holds {name} of something else, which would be overwritten; '
                    'choose another folder'
                )
        return
    if not config.resume:
        raise UserError(
            f'output={folder} holds the results of a run; choose another folder, or leave resume '
            'true to go on with it'
        )
    found = _read(record)
    stored = default_mapping(type(config)) | found['config']
    wanted = to_mapping(config)
    free = {*_FREE, *config.without_effect}
    for name in wanted:
        if name in free or stored[name] == wanted[name]:
            continue
        here = f'output={folder} holds a run with {name}={stored[name]}, not {wanted[name]}'
        if name == 'iterations' and wanted[name] > stored[name]:
            if not stored['cool_down_iterations']:
                continue
            raise UserError(
                f'{here}, and cool_down_iterations={stored["cool_down_iterations"]}: with more '
                'iterations its learning rate would have begun to fall later; choose another '
                'folder; only a run begun with cool_down_iterations=0 can be made longer'
            )
        raise UserError(f'{here}; choose another folder, or the same settings to go on with it')
    now = recorded_state(config.suite, config.task_indices)
    if found[RECORDED_STATE] != now.get(RECORDED_STATE):
        raise UserError(
            f'output={folder} holds a run with suite {config.suite!r} as it was before its files '
            'changed; choose another folder, or put them back to go on with it'
        )
    for name in stored.keys() - wanted.keys():
        # One that was off did nothing there, as it does now.
        if stored[name]:
            raise UserError(
                f'output={folder} holds a run with {name}={stored[name]}, a setting that is no '
                'more; choose another folder'
            )


def _read(record: Path) -> dict[str, Any]:
    try:
        content = json.loads(record.read_text())
        return {
            'config': dict(content['config']),
            'finished': content['finished'],
            RECORDED_STATE: content.get(RECORDED_STATE),
        }
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f'{record} cannot be read ({error}); choose another output folder'
        ) from error
