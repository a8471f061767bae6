"""`smoothvla demos`: let the scripted expert record demonstrations, in several processes."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tqdm

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.libero import FAST, RENDER_PROFILES
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.demonstrations import demonstration_path
from smoothvla_ros.simulation.expert.noise import NoiseSettings
from smoothvla_ros.simulation.expert.recorder import (
    DemonstrationRecorder,
    RecordingJob,
    RecordingResult,
)
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names, require_train
from smoothvla_ros.simulation.workers.owned_processes import finished_work
from smoothvla_ros.simulation.workers.owner import end_with_owner
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.expert_report import ExpertReport
from smoothvla_ros.workflows.options import add_settings, given_settings, option

# Episodes of one task that a process takes at once: another task may have to be built first.
BLOCK = 5

# Beside the demonstrations: what all of a folder have in common.
SETTINGS = 'demos.json'
_OWN_TASKS = 'own_tasks'
_COMMON = ('image_size', 'image_stride', 'noise', 'render_profile')


@dataclass(frozen=True)
class DemosConfig:
    """Which demonstrations are recorded."""

    suite: str = setting('libero_spatial', 'Task suite')
    tasks: tuple[int, ...] = setting((), 'tasks of the suite, by number; none means all')
    episodes: int = setting(40, 'episodes a task', minimum=1)
    workers: int = setting(2, 'recording processes', minimum=1, maximum=256)
    seed: int = setting(0, 'of the choice of episodes and of the noise', minimum=0)
    image_size: int = setting(128, 'height and width of the images, pixels', minimum=16)
    image_stride: int = setting(4, 'control steps from one image to the next', minimum=1)
    noise: float = setting(
        0.2, 'noise on the executed actions (never on the labels)', minimum=0.0, maximum=1.0
    )
    attempts: int = setting(2, 'tries an episode, each with half the noise', minimum=1, maximum=10)
    render_profile: str = setting(FAST, 'how images are drawn', choices=RENDER_PROFILES)

    def __post_init__(self) -> None:
        validate(self, 'demos')
        tasks.base_suite(self.suite)

    @property
    def task_indices(self) -> tuple[int, ...]:
        """The tasks to record, all of the suite where none is named."""
        return self.tasks or tuple(task.index for task in tasks.tasks(self.suite))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: the settings of `DemosConfig`, and where to write."""
    parser.add_argument(
        *option('out'), type=user_path, required=True, help='folder for the demonstrations'
    )
    parser.add_argument(
        '--measure',
        action='store_true',
        help="write only the report: the expert's success and motion, without noise and images",
    )
    parser.add_argument('--config', type=user_path, help='YAML file of the settings below')
    add_settings(parser, DemosConfig)


def run(arguments: argparse.Namespace) -> int:
    """Record, print the table of success, and write it as JSON."""
    config = load(DemosConfig, arguments.config, given_settings(arguments, DemosConfig))
    report = record_demonstrations(config, arguments.out, arguments.measure)
    print(report.table())
    print(f'report: {report.path}')
    return 0


def record_demonstrations(config: DemosConfig, out: Path, measure: bool = False) -> ExpertReport:
    """Record what is missing of the demonstrations that `config` asks for.

    Files that exist are kept.  measure: no noise, no images and no files but the report.
    Raises UserError for bad settings, an unwritable folder, one that holds demonstrations of other
    settings, or when a recording process died.
    """
    names = _episodes(config)
    with disk_errors(f'--out {out}'), FolderLock(out, '--out '):
        if not measure:
            _claim(out, config)
        return _record(config, out, names, measure)


def _record(
    config: DemosConfig, out: Path, names: list[EpisodeName], measure: bool
) -> ExpertReport:
    missing = names if measure else [name for name in names if not _recorded(out, name)]
    report = ExpertReport(out, config.suite, len(names) - len(missing), measured=measure)
    report.write()
    job = RecordingJob(
        folder=None if measure else out,
        noise=NoiseSettings(scale=0.0 if measure else config.noise),
        seed=config.seed,
        image_stride=0 if measure else config.image_stride,
        attempts=1 if measure else config.attempts,
    )
    render = RenderSettings(profile=config.render_profile, size=config.image_size)
    work = finished_work(_run, _blocks(missing), config.workers, _start, (render, job))
    bar = tqdm.tqdm(total=len(missing), unit='episode', desc=config.suite, smoothing=0.05)
    try:
        with bar, contextlib.closing(work):
            for result in itertools.chain.from_iterable(work):
                report.add(result)
                bar.set_postfix_str(report.progress())
                bar.update()
    finally:
        report.write()
    return report


def _claim(out: Path, config: DemosConfig) -> None:
    """Write down with what settings the folder's demonstrations are made.

    Raises UserError if those that it holds were made with others.
    """
    path = out / SETTINGS
    wanted: dict[str, Any] = {name: getattr(config, name) for name in _COMMON}
    own = {
        f'{config.suite}/{index}': files
        for index in config.task_indices
        if (files := tasks.fingerprint(config.suite, [index]))
    }
    if path.exists():
        try:
            found = dict(json.loads(path.read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise UserError(f'{path} cannot be read ({error}); choose another --out') from error
        for name, value in wanted.items():
            if found.get(name) != value:
                raise UserError(
                    f'--out {out} holds demonstrations with {name}={found.get(name)}, not {value}; '
                    'choose another --out, or the same settings to add to it'
                )
        kept = found.get(_OWN_TASKS, {})
        for name, files in own.items():
            if kept.get(name, files) != files:
                raise UserError(
                    f'--out {out} holds demonstrations of task {name} as it was before its files '
                    'changed; choose another --out'
                )
        own = kept | own
    wanted |= {_OWN_TASKS: own} if own else {}
    write_file(path, json.dumps(wanted, indent=1) + '\n')


def _episodes(config: DemosConfig) -> list[EpisodeName]:
    names = [
        name
        for task in config.task_indices
        for name in episode_names(config.suite, task, Split.TRAIN, config.episodes, config.seed)
    ]
    for name in names:
        require_train(name)
    return names


def _recorded(out: Path, name: EpisodeName) -> bool:
    first = demonstration_path(out, name, 0)
    return any(first.parent.glob(first.name.replace('_a0.npz', '_a*.npz')))


def _blocks(names: list[EpisodeName]) -> list[list[EpisodeName]]:
    by_task: dict[int, list[EpisodeName]] = {}
    for name in names:
        by_task.setdefault(name.task, []).append(name)
    return [
        group[start : start + BLOCK]
        for group in by_task.values()
        for start in range(0, len(group), BLOCK)
    ]


_recorder: DemonstrationRecorder | None = None


def _start(render: RenderSettings, job: RecordingJob) -> None:
    """Prepare a recording process; it has one recorder for all its blocks."""
    global _recorder
    end_with_owner()
    _recorder = DemonstrationRecorder(render, job)


def _run(names: list[EpisodeName]) -> list[RecordingResult]:
    assert _recorder is not None
    return [_recorder.run(name) for name in names]
