"""The folder of an evaluation: begun once, gone on with by the same settings and weights only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.report.summary import SUMMARY, read_summary
from smoothvla_ros.folder_lock import LOCK
from smoothvla_ros.simulation import tasks
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.contestants import Contestant
from smoothvla_ros.writable_folder import check_writable

SETTINGS = 'evaluation.json'

# Settings that change no figure, but for the last bits: a run may go on with others.
_FREE_SETTINGS = ('robots', 'video', 'out', 'device', 'deterministic')


def check_output_folder(config: EvaluationConfig, contestants: Sequence[Contestant]) -> None:
    """Raise UserError if `config.out` cannot be written, or holds anything but this evaluation.

    The same evaluation is that of the same settings and weights.
    """
    check_writable(config.out, 'out=')
    path = config.out / SETTINGS
    if path.exists():
        found = read_settings(config.out, 'choose another out')
        settings = _settings(config, contestants)
        different = sorted(name for name in settings if found.get(name) != settings[name])
        if different:
            raise UserError(
                f'out={config.out} holds an evaluation with another {different[0]}; '
                'choose another out'
            )
    elif config.out.is_dir() and any(file.name != LOCK for file in config.out.iterdir()):
        raise UserError(f'out={config.out} is not empty; choose another out')


def claim(config: EvaluationConfig, contestants: Sequence[Contestant]) -> float:
    """Take the output folder, which is locked, or go on in it; returns the seconds spent before.

    Raises UserError as `check_output_folder` does.
    """
    check_output_folder(config, contestants)
    path = config.out / SETTINGS
    if path.exists():
        return _earlier_seconds(config.out)
    write_file(path, json.dumps(_settings(config, contestants), indent=2) + '\n')
    return 0.0


def read_settings(folder: Path, remedy: str) -> dict[str, Any]:
    """Return the record of an evaluation.

    remedy: what to do where it cannot be read, for the UserError that this then raises.
    """
    path = folder / SETTINGS
    try:
        # An evaluation of before there was a horizon to set ran the suite's own.
        return {'horizon': 0, **json.loads(path.read_text())}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f'{path} cannot be read ({error}); {remedy}') from error


def _settings(config: EvaluationConfig, contestants: Sequence[Contestant]) -> dict[str, Any]:
    settings = {
        name: value for name, value in to_mapping(config).items() if name not in _FREE_SETTINGS
    }
    # Paths may be written in several ways; what counts is the weights.
    return (
        settings
        | {
            'policy': contestants[-1].sha256,
            'compare': contestants[0].sha256,
            'tasks': list(config.task_indices),
        }
        | tasks.recorded_state(config.suite, config.task_indices)
    )


def _earlier_seconds(folder: Path) -> float:
    """Return the time that an evaluation which goes on here had taken to its last report."""
    if not (folder / SUMMARY).exists():
        return 0.0
    return float(read_summary(folder)['wall_seconds'] or 0.0)
