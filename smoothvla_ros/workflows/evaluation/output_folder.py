"""The folder of an evaluation: begun once, gone on with by the same settings and weights only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.summary import SUMMARY, read_summary
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.workflows.evaluation.contestants import Contestant

SETTINGS = 'evaluation.json'

# Settings that change no figure: a run may go on with others.
_FREE_SETTINGS = ('robots', 'video', 'out', 'device')


def claim(config: EvaluationConfig, contestants: Sequence[Contestant]) -> float:
    """Take the output folder, or go on in it; returns the seconds spent there before.

    Raises UserError if it holds an evaluation of other settings or other weights.
    """
    path = config.out / SETTINGS
    settings = {
        name: value for name, value in to_mapping(config).items() if name not in _FREE_SETTINGS
    }
    # Paths may be written in several ways; what counts is the weights.
    settings |= {'policy': contestants[-1].sha256, 'compare': contestants[0].sha256}
    settings['tasks'] = list(config.task_indices)
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f'{path} cannot be read ({error}); choose another --out') from error
        different = sorted(name for name in settings if found.get(name) != settings[name])
        if different:
            raise UserError(
                f'{config.out} holds an evaluation with another {different[0]}; '
                'choose another --out'
            )
        return _earlier_seconds(config.out)
    if config.out.is_dir() and any(config.out.iterdir()):
        raise UserError(f'output {config.out} is not empty; choose another --out')
    try:
        write_file(path, json.dumps(settings, indent=2) + '\n')
    except OSError as error:
        raise UserError(
            f'output {config.out}: {error.strerror}; choose a folder that can be written'
        ) from error
    return 0.0


def _earlier_seconds(folder: Path) -> float:
    """Return the time that an evaluation which goes on here had taken to its last report."""
    if not (folder / SUMMARY).exists():
        return 0.0
    return float(read_summary(folder)['wall_seconds'] or 0.0)
