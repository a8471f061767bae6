"""Run the cells of a benchmark: train, measure, and keep every episode as it comes."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from smoothvla_ros.configuration import default_mapping
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.evaluation.benchmark.cell_record import (
    CellRecord,
    read_record,
    rounded,
    write_record,
)
from smoothvla_ros.evaluation.benchmark.matrix import WRONG_INSTRUCTION, CellEvaluation
from smoothvla_ros.evaluation.episodes.archive import TABLE, EpisodeArchive
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow, read_rows, write_rows
from smoothvla_ros.evaluation.episodes.policy_labels import BEFORE
from smoothvla_ros.evaluation.report.run_report import read_metrics
from smoothvla_ros.evaluation.report.versions import versions
from smoothvla_ros.evaluation.reworded_policy import RewordedPolicy, wrong_instructions
from smoothvla_ros.folder_lock import FolderInUse, FolderLock
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies import Policy, load_policy
from smoothvla_ros.policies.chunk_filters import (
    ChunkFilterFactory,
    chunk_filter_factory,
    try_chunk_filter,
)
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.libero_actions import require_libero_actions
from smoothvla_ros.policies.loading import Loader
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records.reward_names import SMOOTH
from smoothvla_ros.records.run_files import METRICS
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.rollouts.process import ProcessRolloutSource
from smoothvla_ros.training.rollouts.source import RolloutSource
from smoothvla_ros.workflows.benchmark.cells import Cell, cell_folder, device_of
from smoothvla_ros.workflows.benchmark.config import BenchmarkConfig
from smoothvla_ros.workflows.benchmark.erasing import FIRST_ITERATION
from smoothvla_ros.workflows.benchmark.progress import MatrixProgress
from smoothvla_ros.workflows.evaluation.episodes import Scenes, evaluate
from smoothvla_ros.workflows.training.job import POLICY, train

Wrap = Callable[[Policy], Policy]
OpenSource = Callable[
    [Wrap | None, ChunkFilterFactory | None], AbstractContextManager[RolloutSource]
]
"""What wraps the policy and what filters its chunks, to a source that plays with both."""

_EVALUATION = 'evaluation'

# What a setting that is younger than a cell's file was there, in effect.
_DEFAULTS = {f'training.{name}': value for name, value in default_mapping(TrainConfig).items()}

log = logging.getLogger(__name__)


class Benchmark:
    """The cells that are to be run, checked before anything is."""

    def __init__(
        self,
        config: BenchmarkConfig,
        cells: Sequence[Cell],
        open_source: OpenSource | None = None,
        load: Loader = load_policy,
    ) -> None:
        """open_source: this process's own workers if None.  load: folder and device to a policy.

        Raises UserError if a cell's file was made with other settings or another starting policy,
        and for one whose actions LIBERO does not play.
        """
        self._config = config
        self._cells = list(cells)
        self._open = open_source or _own_workers(config, load)
        self._load = load
        self._arm = Arm.panda()
        self._start = policy_folder(config.policy)
        # Loaded once, so that a bad one is named before anything is simulated.
        self._spec = load(config.policy, device_of(config)).spec
        self._start_sha256 = folder_sha256(self._start)
        for cell in self._cells:
            self._checked(cell)

    def remaining(self) -> dict[Cell, tuple[int, int]]:
        """Return the unfinished cells with the rollouts and the evaluated episodes they lack."""
        found = {}
        for cell in self._cells:
            missing = sum(cell.planned.missing(self._checked(cell)).values())
            if missing:
                found[cell] = (0 if self._trained(cell) else cell.rollouts, missing)
        return found

    def run(self) -> None:
        """Run what is unfinished; a cell that another process works at is left to it.

        Killed at any time, the next run goes on: a training at its last iteration, an evaluation at
        its last episode.
        Raises UserError for a filter of one's own that fails on a chunk, before any cell: others
        run for hours before its own.
        """
        remaining = self.remaining()
        filters = {cell.name.method: cell.chunk_filter for cell in remaining if cell.chunk_filter}
        for name, values in filters.items():
            try_chunk_filter(values, f'benchmark: rivals: {name}', self._spec)
        total = sum(rollouts + episodes for rollouts, episodes in remaining.values())
        with (
            disk_errors(f'{self._config.out} or {self._config.results}'),
            MatrixProgress(total, len(remaining)) as progress,
        ):
            for cell in remaining:
                progress.begin(str(cell.name))
                with _claimed(cell_folder(self._config, cell.name)) as free:
                    if free and cell.planned.missing(self._checked(cell)):
                        self._run(cell, progress)
                        continue
                    log.warning('%s: another process works at it, or has finished it', cell.name)
                    progress.skip(sum(remaining[cell]))

    def _run(self, cell: Cell, progress: MatrixProgress) -> None:
        own_filter = None
        if cell.chunk_filter is not None:
            own_filter = chunk_filter_factory(cell.chunk_filter, f'benchmark: {cell.name}')
        parts = [part for part in cell.episodes if part.label != WRONG_INSTRUCTION]
        wrong = [part for part in cell.episodes if part.label == WRONG_INSTRUCTION]
        with self._open(None, own_filter) as source:
            if cell.training is not None:
                tell = partial(progress.trained, cell.training)
                train(cell.training, source, load=self._load, report=tell)
            measured = _Measured(self._config, cell, self._policy(cell), self._arm)
            try:
                self._evaluate(cell, measured, parts, source, progress)
            finally:
                self._keep(cell, measured)
        if not wrong:
            return

        def told_wrongly(policy: Policy) -> Policy:
            return RewordedPolicy(policy, wrong_instructions(cell.name.suite))

        with self._open(told_wrongly, own_filter) as source:
            try:
                self._evaluate(cell, measured, wrong, source, progress)
            finally:
                self._keep(cell, measured)

    def _evaluate(
        self,
        cell: Cell,
        measured: _Measured,
        parts: Iterable[CellEvaluation],
        source: RolloutSource,
        progress: MatrixProgress,
    ) -> None:
        """Run the episodes of some parts that are not on disk yet; keep them part by part."""
        source.update_policy(0, measured.policy, measured.sha256)
        for part in parts:
            progress.evaluate(part)
            evaluate(
                source,
                part.label,
                Scenes(
                    part.suite,
                    self._config.tasks_of(part.suite),
                    cell.episodes[part],
                    cell.evaluation_seed,
                ),
                part.temperature,
                archive=measured.archive(part, self._checked(cell)),
                on_episode=progress.measured,
            )
            self._keep(cell, measured)

    def _keep(self, cell: Cell, measured: _Measured) -> None:
        """Write the cell's file from all that there is of it by now."""
        record = self._checked(cell)
        rows = {_key(row): row for row in (record.rows if record is not None else ())}
        rows |= {_key(row): row for row in measured.rows()}
        if not rows:
            return
        rows |= {_key(row): row for row in _first_rollouts(cell)}
        write_record(
            self._config.results,
            CellRecord(
                cell.name,
                cell.settings(self._config, self._start_sha256),
                measured.sha256,
                versions(),
                _metrics(cell),
                tuple(rows.values()),
            ),
        )

    def _policy(self, cell: Cell) -> Path:
        """Return the weights of a cell.  Raises UserError if its file measured others."""
        folder = self._start if cell.training is None else cell.training.output / POLICY
        record = self._checked(cell)
        if record is not None and record.policy_sha256 != folder_sha256(folder):
            raise UserError(
                f'{cell.name.path(self._config.results)} holds episodes of other weights than '
                f'{folder}; training repeats bit by bit only on the same kind of machine, so '
                'delete the file to measure the new ones, or choose another results folder'
            )
        return folder

    def _trained(self, cell: Cell) -> bool:
        """Whether the cell's weights are on this machine."""
        return cell.training is None or (cell.training.output / POLICY).is_dir()

    def _checked(self, cell: Cell) -> CellRecord | None:
        """Read a cell's file, if there is one.  Raises UserError if other settings made it."""
        path = cell.name.path(self._config.results)
        if not path.exists():
            return None
        record = read_record(path)
        found = _flat(record.settings)
        for name in cell.without_effect:
            found.pop(f'training.{name}', None)
        # A file from before this stood there for every cell: those of the training, or all.
        found.setdefault('tasks', found.get('training.tasks', []))
        wanted = _flat(cell.settings(self._config, self._start_sha256))
        for name in (*wanted, *found):
            had = found.get(name, _DEFAULTS.get(name))
            # One that is no more and was off did nothing there, as it does now.
            agrees = had == wanted[name] if name in wanted else not had
            if agrees:
                continue
            now = f'not {wanted[name]}' if name in wanted else 'a setting that is no more'
            raise UserError(
                f'{path} was made with {name}={had}, {now}; delete it, choose another results '
                'folder, or leave the cell out with --only'
            )
        return record


class _Measured:
    """The weights of a cell and the episodes that they have run on this machine."""

    def __init__(self, config: BenchmarkConfig, cell: Cell, policy: Path, arm: Arm) -> None:
        self.policy = policy
        self.sha256 = folder_sha256(policy)
        self._arm = arm
        # Other weights get another folder: their episodes must not meet.
        self._folder = cell_folder(config, cell.name) / f'{_EVALUATION}_{self.sha256[:12]}'

    def archive(self, part: CellEvaluation, record: CellRecord | None) -> EpisodeArchive:
        """Open the episodes of a suite, with those that another machine has run already."""
        folder = self._folder / part.suite
        rows = {_key(row): row for row in (record.rows if record is not None else ())}
        rows = {key: row for key, row in rows.items() if row.suite == part.suite}
        if (folder / TABLE).exists():
            rows |= {_key(row): row for row in read_rows(folder / TABLE)}
        write_rows(folder / TABLE, rows.values())
        return EpisodeArchive(folder, self._arm)

    def rows(self) -> Iterator[EpisodeRow]:
        """Yield all episodes so far, as the cell's file holds them."""
        for table in sorted(self._folder.glob(f'*/{TABLE}')):
            yield from map(rounded, read_rows(table))


def _key(row: EpisodeRow) -> tuple[str, str, str]:
    return row.policy, row.suite, row.episode_id


def _first_rollouts(cell: Cell) -> Iterator[EpisodeRow]:
    """Yield what the training of a `smooth` cell sampled before it had learned anything."""
    if cell.training is None or cell.training.reward != SMOOTH:
        return
    for row in read_rows(cell.training.output / TABLE):
        if row.policy == BEFORE and not row.greedy:
            yield rounded(dataclasses.replace(row, policy=FIRST_ITERATION))


def _metrics(cell: Cell) -> dict[str, list[float]]:
    """Return the figures of every iteration of a cell's training, without what only took time."""
    if cell.training is None:
        return {}
    columns = read_metrics(cell.training.output / METRICS)
    return {
        name: [float(f'{value:.6g}') for value in values]
        for name, values in columns.items()
        if not name.endswith(('_seconds', '_per_minute'))
    }


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a cell under one name each."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= {f'{name}.{inner}': item for inner, item in value.items()}
        else:
            flat[name] = value
    return flat


@contextmanager
def _claimed(folder: Path) -> Iterator[bool]:
    """Hold a cell's folder; yield False where another process holds it.

    Raises UserError if the folder cannot be written.
    """
    try:
        lock = FolderLock(folder, 'out=')
    except FolderInUse:
        yield False
        return
    with lock:
        yield True


def _own_workers(config: BenchmarkConfig, load: Loader) -> OpenSource:
    device = device_of(config)
    # The starting policy's views are those of every policy that is trained from it.
    spec = load(config.policy, device).spec
    require_libero_actions(spec, config.policy)
    render = RenderSettings(config.render_profile, spec.image_size, spec.cameras)

    def open_source(
        wrap: Wrap | None, chunk_filter: ChunkFilterFactory | None
    ) -> AbstractContextManager[RolloutSource]:
        def loader(folder: Path) -> Policy:
            policy = load(folder, device)
            return policy if wrap is None else wrap(policy)

        return ProcessRolloutSource(loader, config.robot_count, render, chunk_filter=chunk_filter)

    return open_source
