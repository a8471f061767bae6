"""The suites and their tasks, LIBERO's and one's own, by name, without importing the simulator."""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Iterable

import numpy as np

from smoothvla_ros.archives import DamagedArchive, read_arrays
from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.suites import libero_suites, own_suites
from smoothvla_ros.simulation.suites.libero_suites import SUITES
from smoothvla_ros.simulation.suites.own_suites import OwnSuite, own_task
from smoothvla_ros.simulation.suites.task import Task

RECORDED_STATE = 'state of the suite'
"""Under this a record of results has the fingerprint of a suite of one's own."""


def base_suite(suite: str) -> str:
    """Return the suite that a LIBERO-PRO variant perturbs; any other suite returns itself.

    Raises UserError for an unknown suite.
    """
    return suite if _own(suite) else libero_suites.base_suite(suite)


def horizon(suite: str) -> int:
    """Return the most control steps of an episode; a variant has that of its base suite.

    Raises UserError for an unknown suite.
    """
    if suite in SUITES:
        return libero_suites.HORIZONS[libero_suites.base_suite(suite)]
    # As its environments have it: suite.yaml may be edited while a process uses the suite.
    return _tasks(suite)[0].horizon


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


def recorded_state(suite: str, indices: Iterable[int]) -> dict[str, str]:
    """Return what a record of results says of its suite beside its settings: the fingerprint.

    Nothing for LIBERO's suites, whose records stay as they were.
    Raises UserError for an unknown suite or task.
    """
    found = fingerprint(suite, indices)
    return {RECORDED_STATE: found} if found else {}


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
    Raises UserError if the file is missing or damaged, or holds anything but numbers.
    """
    try:
        states = np.asarray(read_arrays(task.init_states_file)['states'], dtype=np.float64)
    except (DamagedArchive, KeyError, TypeError, ValueError) as error:
        reason = f'no array {error}' if isinstance(error, KeyError) else error
        raise UserError(f'init states {task.init_states_file}: {reason}; {task.remedy}') from error
    states.flags.writeable = False
    return states


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
        return tuple(libero_suites.libero_tasks(suite))
    if not own.settings.tasks:
        raise UserError(f'suite {suite!r} names no tasks; run `{own.command}`')
    for name in own.settings.tasks:
        own.check(name)
    return tuple(own_task(own, index) for index in range(len(own.settings.tasks)))


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
