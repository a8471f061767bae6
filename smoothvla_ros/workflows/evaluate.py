"""`smoothvla eval`: success and smoothness of one policy, or of two on the same episodes."""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.configuration import load, to_mapping
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.archive import EpisodeArchive
from smoothvla_ros.evaluation.comparison_table import print_comparison
from smoothvla_ros.evaluation.episode_table import EpisodeRow
from smoothvla_ros.evaluation.report import REPORT, write_report
from smoothvla_ros.evaluation.reworded_policy import (
    RewordedPolicy,
    one_instruction,
    wrong_instructions,
)
from smoothvla_ros.evaluation.summary import SUMMARY, RunContext, read_summary
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies.policy import Policy, PolicySpec, load_policy, policy_folder
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.rendering import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.tasks import tasks as tasks_of
from smoothvla_ros.training.checkpoints import folder_sha256
from smoothvla_ros.training.group_sampling import collect_episodes
from smoothvla_ros.training.process_rollouts import ProcessRolloutSource
from smoothvla_ros.training.rollouts import RolloutSource
from smoothvla_ros.workflows.evaluation_config import EXPERT, EvaluationConfig
from smoothvla_ros.workflows.expert_rollouts import ExpertRolloutSource
from smoothvla_ros.workflows.rollout_choice import add_rollout_arguments, open_rollouts

SETTINGS = 'evaluation.json'

# Settings that change no figure: a run may go on with others.
_FREE_SETTINGS = ('robots', 'video', 'out', 'device')

OpenSource = Callable[
    [Callable[[Path, str], Policy], RenderSettings], AbstractContextManager[RolloutSource]
]
"""What loads a policy on a device, and how scenes are drawn, to a source to be entered."""

log = logging.getLogger(__name__)


def evaluate(
    source: RolloutSource,
    policy_label: str,
    suite: str,
    tasks: Sequence[int],
    split: Split,
    episodes: int,
    seed: int,
    temperature: float,
    *,
    archive: EpisodeArchive,
    policy_version: int = 0,
    attempts: int = 2,
    on_row: Callable[[EpisodeRow], None] | None = None,
) -> list[EpisodeRow]:
    """Run a policy on `episodes` scenes of every task and return their rows, in order of scenes.

    source: must already serve `policy_version`.  policy_label: a plain name, 'before' for example;
    the same seed gives every label the same scenes.  temperature: 0 is greedy.
    archive: keeps each episode as it finishes; those that it holds already are not run again.
    on_row: called with every new row, instead of a progress bar.
    An episode that stays lost after `attempts` is logged and has no row. Raises UserError if none
    came, or if the archive holds them from another scene.
    """
    requests = [
        EpisodeRequest(
            episode_id=f'{policy_label}-t{temperature:g}-task{task:02d}-{index:04d}',
            name=name,
            group=index,
            temperature=temperature,
            seed=seed,
            policy_version=policy_version,
        )
        for task in tasks
        for index, name in enumerate(episode_names(suite, task, split, episodes, seed))
    ]
    missing = [request for request in requests if not _finished(archive, policy_label, request)]
    with tqdm(
        total=len(requests),
        initial=len(requests) - len(missing),
        desc=f'{policy_label}, {_sampling(temperature)}',
        unit='episode',
        # A caller that is told of every row shows them itself.
        disable=None if on_row is None else True,
    ) as bar:
        successes: list[float] = []
        jerks: list[float] = []

        def keep(episode: Episode) -> None:
            row = archive.add(episode, policy_label)
            successes.append(row.success)
            if row.success and np.isfinite(row.jerk):
                jerks.append(row.jerk)
            bar.update()
            bar.set_postfix_str(
                f'success {np.mean(successes):.0%}, '
                f'jerk {np.mean(jerks) if jerks else float("nan"):.2f} m/s^3'
            )
            if on_row is not None:
                on_row(row)

        collect_episodes(source, missing, attempts, keep)
    found = {request: archive.row(policy_label, request.episode_id) for request in requests}
    lost = [request.episode_id for request, row in found.items() if row is None]
    if lost:
        log.warning('%d of %d episodes are lost: %s', len(lost), len(found), ', '.join(lost))
    rows = [row for row in found.values() if row is not None]
    if not rows:
        raise UserError(f'{policy_label}: all {len(requests)} episodes are lost; see the log above')
    return rows


def run_evaluation(
    config: EvaluationConfig,
    source: RolloutSource | None = None,
    open_source: OpenSource | None = None,
) -> dict[str, Any]:
    """Evaluate as configured, write everything into `config.out` and return the summary.

    source: where the episodes come from, not closed here; None opens one for every policy.
    open_source: opens it; None is this process's own workers.
    A run that was killed goes on where it stopped. Raises UserError if `config.out` holds another
    evaluation, and for everything a user can put right.
    """
    with disk_errors(f'output {config.out}'):
        return _evaluation(config, source, open_source)


def _evaluation(
    config: EvaluationConfig, source: RolloutSource | None, open_source: OpenSource | None
) -> dict[str, Any]:
    started = time.monotonic()
    contestants = _contestants(config)
    earlier_seconds = _claim(config, contestants)
    archive = EpisodeArchive(config.out, Arm.panda())
    for version, contestant in enumerate(contestants):
        with _serving(config, version, contestant, source, open_source) as serving:
            for temperature in config.temperatures:
                evaluate(
                    serving,
                    contestant.label,
                    config.suite,
                    config.task_indices,
                    Split(config.split),
                    config.episodes,
                    config.seed,
                    temperature,
                    archive=archive,
                    policy_version=version,
                )
    context = RunContext(
        suite=config.suite,
        seed=config.seed,
        wall_seconds=earlier_seconds + time.monotonic() - started,
        before=contestants[0].label if len(contestants) == 2 else None,
        after=contestants[-1].label,
        languages={task.index: task.language for task in tasks_of(config.suite)},
    )
    return write_report(archive, context, video=config.video)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; every setting of `EvaluationConfig` is one."""
    add_rollout_arguments(parser)
    parser.add_argument('--config', type=Path, help='YAML file of the settings below')
    for field in dataclasses.fields(EvaluationConfig):
        default = field.default
        if isinstance(default, tuple):
            default = ','.join(f'{item:g}' for item in default) or 'all'
        option = '--' + field.name.replace('_', '-')
        help_text = f'{field.metadata["description"]} (default: {default})'.replace('%', '%%')
        if field.type == 'bool':
            parser.add_argument(
                option, action=argparse.BooleanOptionalAction, default=None, help=help_text
            )
        else:
            parser.add_argument(option, metavar=field.name.upper(), help=help_text)


def given_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what the command line sets, by the name of the setting."""
    names = {field.name for field in dataclasses.fields(EvaluationConfig)}
    return {
        name: value
        for name, value in vars(arguments).items()
        if name in names and value is not None
    }


def run(arguments: argparse.Namespace) -> int:
    """Evaluate, print the table and say where the report is."""
    config = load(EvaluationConfig, arguments.config, given_settings(arguments))
    opener = partial(open_rollouts, arguments, config.device, config.robots)
    summary = run_evaluation(config, open_source=opener)
    print_comparison(summary)
    print(f'\nreport: {config.out / REPORT}')
    return 0


def _finished(archive: EpisodeArchive, label: str, request: EpisodeRequest) -> bool:
    """Say whether an episode is there.  Raises UserError if another one has its id."""
    row = archive.row(label, request.episode_id)
    if row is None:
        return False
    if (row.name, row.temperature, row.seed) != (request.name, request.temperature, request.seed):
        raise UserError(
            f'{archive.folder} holds {request.episode_id} of other settings; choose another output'
        )
    return True


def _sampling(temperature: float) -> str:
    return 'greedy' if temperature == 0.0 else f'temperature {temperature:g}'


@dataclasses.dataclass(frozen=True)
class _Contestant:
    """One policy of an evaluation, under the label of its rows; the expert has no spec."""

    label: str
    folder: Path
    sha256: str
    spec: PolicySpec | None
    rewording: Mapping[str, str] | None


@contextmanager
def _serving(
    config: EvaluationConfig,
    version: int,
    contestant: _Contestant,
    source: RolloutSource | None,
    open_source: OpenSource | None,
) -> Iterator[RolloutSource]:
    """Yield a source that answers with a contestant's policy."""
    if source is not None:
        if contestant.rewording is not None:
            raise UserError(
                'evaluation: instruction and wrong_instruction need the policy in this process; '
                'use `smoothvla eval`'
            )
        if contestant.spec is None:
            raise UserError(
                'evaluation: the expert plays in processes of its own; use `smoothvla eval`'
            )
        source.update_policy(version, contestant.folder, contestant.sha256)
        yield source
        return
    spec = contestant.spec
    if spec is None:
        yield ExpertRolloutSource(config.robots)
        return
    render = RenderSettings(config.render_profile, spec.image_size, spec.cameras)
    loader = partial(_load, rewording=contestant.rewording)
    if open_source is None:
        on_device = partial(loader, device=config.device)
        opened: AbstractContextManager[RolloutSource] = ProcessRolloutSource(
            on_device, config.robots, render
        )
    else:
        opened = open_source(loader, render)
    with opened as own:
        own.update_policy(version, contestant.folder, contestant.sha256)
        yield own


def _load(folder: Path, device: str, rewording: Mapping[str, str] | None) -> Policy:
    policy = load_policy(folder, device)
    return policy if rewording is None else RewordedPolicy(policy, rewording)


def _contestants(config: EvaluationConfig) -> list[_Contestant]:
    """Name the policies in the order they run: what is compared with comes first."""
    told = None
    if config.instruction is not None:
        told = one_instruction(config.suite, config.instruction)
    if config.wrong_instruction:
        wrong = wrong_instructions(config.suite)
        plan = [
            ('right_instruction', config.policy, None),
            ('wrong_instruction', config.policy, wrong),
        ]
    elif config.compare == EXPERT:
        plan = [(EXPERT, EXPERT, None), ('policy', config.policy, told)]
    elif config.compare is not None:
        plan = [('before', config.compare, told), ('after', config.policy, told)]
    else:
        plan = [('policy', config.policy, told)]
    contestants = []
    for label, path, rewording in plan:
        if path == EXPERT:
            contestants.append(_Contestant(label, Path(EXPERT), EXPERT, None, None))
            continue
        # Loaded here too, so that a bad one is named before anything is simulated.
        spec = load_policy(path, config.device).spec
        folder = policy_folder(path)
        contestants.append(_Contestant(label, folder, folder_sha256(folder), spec, rewording))
    return contestants


def _claim(config: EvaluationConfig, contestants: Sequence[_Contestant]) -> float:
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
