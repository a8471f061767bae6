"""`smoothvla suite`: check a folder of tasks of one's own, draw their init states, show them."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tqdm
import yaml

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import load, to_mapping
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.pictures.scene_sheet import SceneRow, scene_sheet
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.libero import AGENTVIEW
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.expert import Expert
from smoothvla_ros.simulation.expert.goal import read_problem
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes.init_state_draws import draw_init_states
from smoothvla_ros.simulation.scenes.libero_scene import import_object_modules
from smoothvla_ros.simulation.scenes.scene_file import check_scene_file
from smoothvla_ros.simulation.splits import Split, scene_seeds
from smoothvla_ros.simulation.suites import own_suites
from smoothvla_ros.simulation.suites.own_suites import OwnSuite, OwnSuiteSettings
from smoothvla_ros.simulation.suites.task import Task
from smoothvla_ros.simulation.workers.memory import release_free_memory
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.options import add_settings, given_settings

PICTURE = 'scenes.png'
_PICTURED_SCENES = 4
_PICTURE_SIZE = 256


@dataclass(frozen=True)
class PreparedTask:
    """One line of what is told at the end.

    drawn: what happened when its init states were drawn, or that they were kept.
    expert: why the scripted expert cannot solve it; '' where it may.
    images: of some of its scenes, uint8 [H, W, 3] each.
    """

    task: Task
    drawn: str
    expert: str
    images: list[np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: the folder, and the settings of its `suite.yaml`."""
    parser.add_argument(
        'folder', type=user_path, help='folder of BDDL files, one a task; its name is the suite'
    )
    kept = f'what {own_suites.SETTINGS} says, else'
    add_settings(
        parser,
        OwnSuiteSettings,
        defaults={
            'tasks': f'{kept} all, by name; new ones come last',
            'horizon': f'{kept} {OwnSuiteSettings.horizon}',
            'object_modules': f'{kept} none',
        },
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare the suite, print its tasks and what comes next."""
    # As `own_suites.find` does, for one name everywhere: no link is followed.
    folder = Path(os.path.abspath(arguments.folder))
    for line in prepare_suite(folder, given_settings(arguments, OwnSuiteSettings)):
        print(f'{line.task.index:>3}  {line.task.language}: {line.drawn}')
        if line.expert:
            print(f'     {line.expert}')
    print(f'picture: {folder / PICTURE}')
    found = own_suites.find(folder.name)
    if found is not None and found.samefile(folder):
        print(f'suite {folder.name} is ready')
    else:
        place = shlex.quote(str(folder.parent))
        print(f'suite {folder.name} is ready after: export {own_suites.VARIABLE}={place}')
    return 0


def prepare_suite(folder: Path, given: Mapping[str, Any]) -> list[PreparedTask]:
    """Check every task of a folder, draw the init states that are missing, write `suite.yaml`.

    given: settings of `OwnSuiteSettings` in place of those that the folder has.
    A task keeps its number: new ones come last. Init states whose BDDL file has not changed stay.
    Raises UserError for a folder, a setting or scenes that cannot be used, all of them at once; the
    init states of the other tasks are kept.
    """
    suite = OwnSuite(folder, _settings(folder, given))
    for name in suite.settings.tasks:
        suite.require_scene(name)
    every = [own_suites.own_task(suite, index) for index in range(len(suite.settings.tasks))]
    for task in every:
        import_object_modules(task)
        check_scene_file(task.bddl_file)
    with disk_errors(str(folder)), FolderLock(folder, ''):
        prepared = _prepare_all(every)
        rows = [
            SceneRow(f'{line.task.index}  {line.task.language}', line.images) for line in prepared
        ]
        write_file(folder / PICTURE, scene_sheet(rows))
        # Last: with it the suite is there for everything else.
        settings = yaml.safe_dump(to_mapping(suite.settings), sort_keys=False)
        write_file(folder / own_suites.SETTINGS, settings)
    return prepared


def _settings(folder: Path, given: Mapping[str, Any]) -> OwnSuiteSettings:
    """Return the settings that a folder has, those given, and the tasks that are new."""
    if not folder.is_dir():
        raise UserError(f'{folder} is no folder; give one with BDDL files')
    if not own_suites.is_name(folder.name) or folder.name in tasks.SUITES:
        raise UserError(
            f'{folder}: a suite cannot be called {folder.name!r}; rename the folder, with letters, '
            'digits, _ and -, and not as LIBERO calls one of its own'
        )
    path = folder / own_suites.SETTINGS
    settings = load(OwnSuiteSettings, path if path.exists() else None, given)
    if 'tasks' not in given:
        found = _scene_names(folder)
        new = [name for name in found if name not in settings.tasks]
        settings = dataclasses.replace(settings, tasks=(*settings.tasks, *new))
    if not settings.tasks:
        raise UserError(f'{folder} holds no BDDL file; put one there for each task')
    return settings


def _scene_names(folder: Path) -> list[str]:
    """Return the names of a folder's BDDL files, sorted.

    Raises UserError for one whose ending is not in small letters: everything else looks for those.
    """
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() == '.bddl')
    for file in files:
        if file.suffix != '.bddl':
            raise UserError(f'{file}: rename it to end with .bddl, in small letters')
    return [file.stem for file in files]


def _prepare_all(every: Sequence[Task]) -> list[PreparedTask]:
    """Prepare every task; raise UserError for those that are refused when the last is through."""
    prepared, refused = [], []
    for task in tqdm.tqdm(every, unit='task', desc=every[0].suite, leave=False):
        try:
            prepared.append(_prepare(task))
        except UserError as error:
            refused.append(str(error))
    if refused:
        raise UserError('\n'.join(refused))
    return prepared


def _prepare(task: Task) -> PreparedTask:
    drawn = 'init states kept'
    digest = own_suites.file_sha256(task.bddl_file)
    if own_suites.drawn_from(task.init_states_file) != digest:
        states = draw_init_states(task)
        own_suites.write_init_states(task.init_states_file, states.states, digest)
        left_out = ', '.join(f'{count} × {why}' for why, count in states.rejected.items())
        drawn = f'{len(states.states)} init states drawn'
        drawn += f' (left out: {left_out})' if left_out else ''
        drawn += f', objects slide up to {100 * states.slide_m:.1f} cm while they settle'
    environment = Environment(task, RenderSettings(size=_PICTURE_SIZE))
    images = []
    for state, seed in zip(range(_PICTURED_SCENES), scene_seeds(Split.TRAIN), strict=False):
        environment.reset(EpisodeName(task.suite, task.index, state, seed))
        images.append(environment.render(AGENTVIEW))
    expert = _expert(environment)
    environment.close()
    # A scene is a cycle of objects, of some 200 MB: a suite of many tasks would fill the memory.
    release_free_memory()
    return PreparedTask(task, drawn, expert, images)


def _expert(environment: Environment) -> str:
    """Return why the scripted expert cannot solve the task; '' where it may."""
    try:
        Expert(environment, read_problem(environment.task.bddl_file))
    except UserError as error:
        return str(error)
    return ''
