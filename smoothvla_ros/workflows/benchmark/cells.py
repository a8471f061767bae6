"""The cells of a benchmark in the order they are run, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from smoothvla_ros.configuration import from_mapping, to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.benchmark.cell_record import CellName
from smoothvla_ros.evaluation.benchmark.matrix import (
    AS_TRAINED,
    PERTURBATIONS,
    SFT,
    WRONG_INSTRUCTION,
    CellEvaluation,
    PlannedCell,
    Role,
)
from smoothvla_ros.policies.chunk_filters import chunk_filter_factory
from smoothvla_ros.policies.loading import named_device
from smoothvla_ros.simulation import tasks
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.workflows.benchmark.config import BenchmarkConfig, method_of

# What may differ between two machines that measure one cell: where and how fast, not what.
_FREE = ('output', 'resume', 'robots', 'keep_checkpoints', 'device', 'policy', 'video')

# What a cell's training has from the matrix -> the matrix's setting that decides it.
_DECIDED_BY = {
    'suite': 'suites',
    'tasks': 'tasks',
    'policy': 'policy',
    'seed': 'seeds',
    'evaluation_episodes': 'evaluation_episodes',
    'evaluation_seed': 'evaluation_seed',
    'video': '',
    'robots': 'robots',
    'render_profile': 'render_profile',
    'device': 'device',
    'output': 'out',
}


@dataclass(frozen=True, eq=False)
class Cell:
    """One cell with all that is needed to run it.

    training: None where the starting policy is measured as it is.  chunk_filter: the settings of
    what its actions go through; None for nothing.  episodes: part -> episodes a task.
    """

    planned: PlannedCell
    training: TrainConfig | None
    chunk_filter: Mapping[str, Any] | None
    episodes: Mapping[CellEvaluation, int]
    evaluation_seed: int

    @property
    def name(self) -> CellName:
        """Its suite, method and seed."""
        return self.planned.name

    @property
    def rollouts(self) -> int:
        """Episodes that its training samples, those of the reference jerk apart."""
        training = self.training
        return training.iterations * training.groups * training.group_size if training else 0

    def settings(self, config: BenchmarkConfig, start_policy_sha256: str) -> dict[str, Any]:
        """Return everything that decides the cell's figures."""
        training = to_mapping(self.training) if self.training is not None else {}
        left_out = {*_FREE, *self.without_effect}
        suite = self.name.suite
        return tasks.recorded_state(suite, config.tasks_of(suite)) | {
            'start_policy_sha256': start_policy_sha256,
            'tasks': list(config.tasks),
            'render_profile': config.render_profile,
            'evaluation_seed': self.evaluation_seed,
            'chunk_filter': dict(self.chunk_filter) if self.chunk_filter is not None else None,
            'training': {name: value for name, value in training.items() if name not in left_out},
        }

    @property
    def without_effect(self) -> frozenset[str]:
        """Settings of its training that decide nothing there."""
        return self.training.without_effect if self.training is not None else frozenset()


def benchmark_cells(config: BenchmarkConfig) -> list[Cell]:
    """Return all cells: suite by suite, and the ablations after all of these.

    Within a suite the starting policy and its rivals come first, which need no training, then the
    rewards seed by seed, so that a first comparison stands early.
    Raises UserError for settings that no training or no filter has, and for those that the matrix
    decides otherwise.
    """
    cells = list(_cells(config))
    trained = [_held(cell) for cell in cells if cell.training is not None]
    # An ablation that names no reward has the one of `training`.
    ablations = {name: config.ablation(name) for name in config.ablations}
    named = all('reward' in ablation.training for ablation in ablations.values())
    of_all = _DECIDED_BY | ({'reward': 'rewards'} if named else {})
    _check_undecided(config, config.training, of_all, trained, 'benchmark: training')
    for cell in cells:
        if cell.planned.role is Role.ABLATION:
            name, held = cell.name.method, [_held(cell)]
            place = f'benchmark: ablations: {name}'
            values = ablations[name].training
            elsewhere = {
                key: f'give {key}s: [{values[key]}]' for key in ('suite', 'seed') if key in values
            }
            _check_undecided(config, values, _DECIDED_BY, held, place, elsewhere)
    return cells


def chosen_cells(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Return the cells that a pattern names, all without any, in their order.

    only: names as `libero_spatial/decoupled/seed0`, their beginnings, or with * and ?.
    Raises UserError for a pattern that names none.
    """
    for pattern in only:
        if not any(_named(cell, pattern) for cell in cells):
            raise UserError(
                f'--only {pattern!r} names no cell; --plan lists them, for example {cells[0].name}'
            )
    return [cell for cell in cells if not only or any(_named(cell, item) for item in only)]


def device_of(config: BenchmarkConfig) -> str:
    """Return the torch device that a benchmark computes on."""
    return named_device(config.device)


def cell_folder(config: BenchmarkConfig, name: CellName) -> Path:
    """Return the folder of a cell's checkpoints and trajectories, which no repository keeps."""
    return config.out / name.suite / f'{name.method}_seed{name.seed}'


def _named(cell: Cell, pattern: str) -> bool:
    name = str(cell.name)
    return fnmatch(name, pattern) or fnmatch(name, f'{pattern.rstrip("/")}/*')


def _cells(config: BenchmarkConfig) -> Iterator[Cell]:
    for name, values in config.rivals.items():
        chunk_filter_factory(values, f'benchmark: rivals: {name}')
    for suite in config.suites:
        for seed in config.seeds:
            yield _cell(config, CellName(suite, SFT, seed), Role.REWARD)
        for name, values in config.rivals.items():
            for seed in config.seeds:
                yield _cell(config, CellName(suite, name, seed), Role.RIVAL, chunk_filter=values)
        for seed in config.seeds:
            for reward in config.rewards:
                cell = CellName(suite, method_of(reward), seed)
                yield _cell(config, cell, Role.REWARD, {'reward': reward})
    for name in config.ablations:
        ablation = config.ablation(name)
        for suite, seed in product(ablation.suites, ablation.seeds):
            yield _cell(config, CellName(suite, name, seed), Role.ABLATION, ablation.training)


def _held(cell: Cell) -> dict[str, Any]:
    """Return the settings of a cell's training, with the seed that its evaluation really has."""
    return {**to_mapping(cell.training), 'evaluation_seed': cell.evaluation_seed}


def _check_undecided(
    config: BenchmarkConfig,
    values: Mapping[str, Any],
    decided_by: Mapping[str, str],
    trainings: Sequence[Mapping[str, Any]],
    place: str,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raise UserError for a value that the matrix decides, and decides otherwise.

    trainings: settings of the cells that `values` are meant for.  elsewhere: what to do about one,
    where that is not to leave it out.
    """
    matrix = to_mapping(config)
    for name in [name for name in values if name in decided_by]:
        value, setting = values[name], decided_by[name]
        held = trainings and all(value == training[name] for training in trainings)
        # Where the matrix has 'auto', a cell has what that is here.
        if held or (setting and value == matrix[setting]):
            continue
        what = f'{setting} of the matrix decides that' if setting else 'a cell makes no video'
        remedy = elsewhere.get(name, 'leave it out')
        raise UserError(f'{place}: {name}={value!r} has no effect: {what}; {remedy}')


def _cell(
    config: BenchmarkConfig,
    name: CellName,
    role: Role,
    training: Mapping[str, Any] | None = None,
    chunk_filter: Mapping[str, Any] | None = None,
) -> Cell:
    episodes = _episodes(config, name.suite, role)
    parts = {part: count * len(config.tasks_of(part.suite)) for part, count in episodes.items()}
    return Cell(
        PlannedCell(name, role, parts),
        None if training is None else _training(config, name, training),
        chunk_filter,
        episodes,
        config.evaluation_seed + name.seed,
    )


def _episodes(config: BenchmarkConfig, suite: str, role: Role) -> dict[CellEvaluation, int]:
    """Return the evaluations of a cell, episodes a task; the first are those that most rests on."""
    episodes = {
        CellEvaluation(AS_TRAINED, suite, 0.0): config.evaluation_episodes,
        CellEvaluation(AS_TRAINED, suite, config.sampled_temperature): config.evaluation_episodes,
    }
    if role is not Role.REWARD:
        return episodes
    if config.wrong_instruction_episodes:
        episodes[CellEvaluation(WRONG_INSTRUCTION, suite, 0.0)] = config.wrong_instruction_episodes
    if config.perturbed_episodes:
        for kind in PERTURBATIONS:
            if f'{suite}_{kind}' in tasks.SUITES:
                episodes[CellEvaluation(AS_TRAINED, f'{suite}_{kind}', 0.0)] = (
                    config.perturbed_episodes
                )
    return episodes


def _training(config: BenchmarkConfig, name: CellName, training: Mapping[str, Any]) -> TrainConfig:
    return from_mapping(
        TrainConfig,
        {
            **config.training,
            **training,
            'suite': name.suite,
            'tasks': config.tasks,
            'policy': config.policy,
            'seed': name.seed,
            'evaluation_episodes': 0,
            # A training without evaluation has no use for it, and its file keeps one value.
            'evaluation_seed': TrainConfig.evaluation_seed,
            'video': False,
            'robots': config.robot_count,
            'render_profile': config.render_profile,
            'device': device_of(config),
            'output': cell_folder(config, name) / 'training',
        },
        f'benchmark: {name}',
    )
