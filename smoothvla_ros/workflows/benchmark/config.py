"""Every setting of `smoothvla benchmark`, described and ranged, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.benchmark.matrix import SFT
from smoothvla_ros.libero import FAST, RENDER_PROFILES
from smoothvla_ros.records.reward_names import BINARY, DECOUPLED, SMOOTH
from smoothvla_ros.shipped_files import shipped_file
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.workers.robot_count import robots_that_fit

FILE = 'benchmark.yaml'

_MOST_ROBOTS = 64  # who has a GPU decides for many at once
_METHOD = re.compile(r'[A-Za-z][A-Za-z0-9.-]*(_[A-Za-z0-9.-]+)*')


@dataclass(frozen=True)
class Ablation:
    """Where an ablation is measured, and the settings of `smoothvla train` that differ there."""

    suites: tuple[str, ...]
    seeds: tuple[int, ...]
    training: Mapping[str, Any]


@dataclass(frozen=True)
class BenchmarkConfig:
    """The matrix: which cells there are, how each is trained and measured, where all of it goes."""

    suites: tuple[str, ...] = setting(
        ('libero_spatial', 'libero_object', 'libero_goal', 'libero_10'), 'Task suites, in order'
    )
    rewards: tuple[str, ...] = setting(
        (BINARY, DECOUPLED, SMOOTH), 'Rewards, each trained on every suite with every seed'
    )
    seeds: tuple[int, ...] = setting(
        (0, 1, 2), 'Training seeds; each has held-out scenes of its own'
    )
    tasks: tuple[int, ...] = setting((), 'Tasks of every suite; empty for all')
    policy: str = setting('default', "Starting policy: a folder, or 'default' for the shipped one")
    training: dict[str, Any] = setting(
        {}, 'Settings of `smoothvla train` that all cells share; the rest have their defaults'
    )
    evaluation_episodes: int = setting(10, 'Held-out episodes a task, cell and sampling', minimum=1)
    evaluation_seed: int = setting(
        1000, 'Draws the held-out scenes, with the training seed added', minimum=0
    )
    sampled_temperature: float = setting(
        0.5, 'Temperature of the evaluation that is not greedy', minimum=0.01
    )
    wrong_instruction_episodes: int = setting(
        3, "Episodes a task told the next task's instruction; 0 leaves them out", minimum=0
    )
    perturbed_episodes: int = setting(
        10, 'Episodes a task of each LIBERO-PRO variant of the suite; 0 leaves them out', minimum=0
    )
    rivals: dict[str, Any] = setting(
        {}, 'Name -> chunk filter (`filter` and its settings) on the starting policy, untrained'
    )
    ablations: dict[str, Any] = setting(
        {},
        'Name -> settings of `smoothvla train` that differ from those of all cells; `suites` and '
        '`seeds` beside them, lists, where one is measured elsewhere than the others',
    )
    ablation_suite: str = setting('libero_spatial', 'Suite of the ablations that name none')
    ablation_seed: int = setting(0, 'Training seed of the ablations that name none', minimum=0)
    robots: int = setting(
        0,
        'Simulated robots, one process each; 0 is one a processor, at least 2 and as many as half '
        'of the free memory holds',
        minimum=0,
        maximum=64,
    )
    render_profile: str = setting(
        FAST, 'Rendering: stock is what LIBERO draws', choices=RENDER_PROFILES
    )
    device: str = setting('auto', "Torch device; 'auto' is a GPU where there is one")
    out: Path = setting(Path('runs/benchmark'), 'Folder for checkpoints and trajectories')
    results: Path = setting(
        Path('docs/results'), 'Folder of the episodes that are kept; the tables lie beside it'
    )

    def __post_init__(self) -> None:
        validate(self, 'benchmark')
        for name in ('suites', 'seeds', 'rewards'):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise UserError(
                    f'benchmark: {name}={list(values)}; give one or more, each of them once'
                )
        methods = [*map(method_of, self.rewards), *self.rivals, *self.ablations]
        for method in methods:
            if not _METHOD.fullmatch(method) or method == SFT or methods.count(method) > 1:
                raise UserError(
                    f'benchmark: {method!r} cannot name a cell; use letters, digits, ., _ and -, '
                    f'each name once, and not {SFT!r}'
                )
        for place in ('training', 'rivals', 'ablations'):
            values = getattr(self, place)
            if not isinstance(values, Mapping) or (
                place != 'training' and not all(isinstance(v, Mapping) for v in values.values())
            ):
                raise UserError(f'benchmark: {place} must hold "name: value" lines')
        for suite in (*self.suites, self.ablation_suite):
            tasks.base_suite(suite)
        for name in self.ablations:
            for suite in self.ablation(name).suites:
                try:
                    tasks.base_suite(suite)
                except UserError as error:
                    raise UserError(f'benchmark: ablations: {name}: {error}') from error

    def ablation(self, name: str) -> Ablation:
        """Return where an ablation is measured, and what differs there.

        Raises UserError for suites or seeds that are no list of such.
        """
        training = dict(self.ablations[name])
        suites = training.pop('suites', [self.ablation_suite])
        seeds = training.pop('seeds', [self.ablation_seed])
        for key, values, kind in (('suites', suites, str), ('seeds', seeds, int)):
            if (
                not isinstance(values, list)
                or not values
                or not all(type(value) is kind for value in values)
                or len(set(values)) != len(values)
            ):
                raise UserError(
                    f'benchmark: ablations: {name}: {key}={values!r}; give a list of one or more, '
                    'each of them once'
                )
        return Ablation(tuple(suites), tuple(seeds), training)

    @property
    def robot_count(self) -> int:
        """How many robots are simulated at a time."""
        return self.robots or robots_that_fit(most=_MOST_ROBOTS)

    def tasks_of(self, suite: str) -> tuple[int, ...]:
        """The tasks to run of a suite, perturbed or not."""
        return self.tasks or tuple(task.index for task in tasks.tasks(suite))


def method_of(reward: str) -> str:
    """Return the name of a reward's cells: one's own `module:function` as a file can be called."""
    return reward.replace(':', '.')


def default_file() -> Path:
    """Return the shipped configuration, in a checkout or installed."""
    return shipped_file(FILE)
