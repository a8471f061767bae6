"""Suites of one's own: folders of BDDL files, found by name through an environment variable.

Each process of a run looks the name up by itself, so that a name is all that messages, recordings
and results carry. `smoothvla suite` prepares a folder; nothing here imports the simulator.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.archives import DamagedArchive, read_arrays
from smoothvla_ros.atomic_files import new_file
from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.suites.task import Task, told_instruction
from smoothvla_ros.user_path import user_path

VARIABLE = 'SMOOTHVLA_SUITES'
"""Names the folders that hold suites, as PATH does: each suite is a folder in one of them."""

SETTINGS = 'suite.yaml'
_NAME = re.compile(r'[A-Za-z0-9][A-Za-z0-9_-]*')


@dataclass(frozen=True)
class OwnSuiteSettings:
    """What `suite.yaml` says."""

    tasks: tuple[str, ...] = setting(
        (), 'Names of the tasks in order, a task being its BDDL file without .bddl'
    )
    horizon: int = setting(
        300, 'Most control steps of an episode, 20 a second', minimum=1, maximum=10_000
    )
    object_modules: tuple[str, ...] = setting(
        (), "Python modules, in the suite's folder or installed, that register objects with LIBERO"
    )

    def __post_init__(self) -> None:
        validate(self, SETTINGS)
        for name in self.tasks:
            if not is_name(name) or self.tasks.count(name) > 1:
                raise UserError(
                    f'{SETTINGS}: task {name!r}; name each task once, with letters, digits, _ and -'
                )


@dataclass(frozen=True)
class OwnSuite:
    """A prepared suite: where it lies and what its `suite.yaml` says."""

    folder: Path
    settings: OwnSuiteSettings

    @property
    def name(self) -> str:
        """What the suite is called everywhere: its folder's name."""
        return self.folder.name

    @property
    def command(self) -> str:
        """What prepares this suite."""
        return f'smoothvla suite {shlex.quote(str(self.folder))}'

    def bddl_file(self, task: str) -> Path:
        """Return where the scene and the goal of a task are."""
        return self.folder / f'{task}.bddl'

    def init_states_file(self, task: str) -> Path:
        """Return where the drawn init states of a task are."""
        return self.folder / 'init_states' / f'{task}.npz'

    def require_scene(self, task: str) -> None:
        """Raise UserError if the task has no BDDL file."""
        if not self.bddl_file(task).is_file():
            raise UserError(
                f'suite {self.name!r}: {self.bddl_file(task)} is missing, which {SETTINGS} names; '
                'put it back, or take its name out of there'
            )

    def check(self, task: str) -> None:
        """Raise UserError unless the task's init states were drawn from its BDDL file as it is."""
        self.require_scene(task)
        if drawn_from(self.init_states_file(task)) != file_sha256(self.bddl_file(task)):
            raise UserError(
                f'suite {self.name!r}: there are no init states of {self.bddl_file(task)} as it is '
                f'now; run `{self.command}`'
            )


def is_name(name: str) -> bool:
    """Whether a suite or a task may be called this: it becomes part of file names."""
    return _NAME.fullmatch(name) is not None


def names() -> tuple[str, ...]:
    """Return the names of all suites that are found, whether their files are in order or not."""
    found = {
        path.parent.name: None
        for folder in _folders()
        for path in sorted(folder.glob(f'*/{SETTINGS}'))
        if is_name(path.parent.name)
    }
    return tuple(found)


def find(name: str) -> Path | None:
    """Return the folder of a suite, of several with one name the first; None if there is none."""
    if not is_name(name):
        return None
    for folder in _folders():
        if (folder / name / SETTINGS).is_file():
            # A link is not followed: its own name is the one that was asked for.
            return (folder / name).absolute()
    return None


def read(folder: Path) -> OwnSuite:
    """Return the suite in a folder.  Raises UserError for a `suite.yaml` that is none."""
    return OwnSuite(folder, load(OwnSuiteSettings, folder / SETTINGS))


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
        file_sha256(suite.bddl_file(name)),
    )


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content.  Raises UserError if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; give a readable file') from error


def write_init_states(path: Path, states: np.ndarray, bddl_sha256: str) -> None:
    """Write init states [states, 1 + nq + nv] with what they were drawn from.  Raises OSError."""
    with new_file(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(file, states=states, bddl_sha256=bddl_sha256)


def drawn_from(init_states_file: Path) -> str:
    """Return the hash of the BDDL file that init states were drawn from; '' where there are none.

    A damaged file is none: its states are to be drawn again.
    """
    try:
        return str(read_arrays(init_states_file)['bddl_sha256'])
    except (DamagedArchive, KeyError):
        return ''


def _folders() -> list[Path]:
    return [user_path(part) for part in os.environ.get(VARIABLE, '').split(os.pathsep) if part]
