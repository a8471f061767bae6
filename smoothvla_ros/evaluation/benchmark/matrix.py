"""The benchmark's matrix: which cells there are to be, and which episodes of them there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from smoothvla_ros.evaluation.benchmark.cell_record import CellName, CellRecord
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.records import EpisodeName

SFT = 'sft'
"""The method of the cells that the starting policy fills, untrained."""

AS_TRAINED, WRONG_INSTRUCTION = 'policy', 'wrong_instruction'
PERTURBATIONS = ('swap', 'object', 'lan', 'task')
"""LIBERO-PRO's kinds that the installed package has; it has no files of a kind `env`."""


class Role(StrEnum):
    """Why a cell is there."""

    REWARD = 'reward'
    RIVAL = 'rival'
    ABLATION = 'ablation'


@dataclass(frozen=True, order=True)
class CellEvaluation:
    """One evaluation of a cell's policy, on held-out scenes.

    label: `AS_TRAINED`, or `WRONG_INSTRUCTION` where it is told the next task's.
    suite: the cell's own, or a perturbed one.  temperature: 0 is greedy.
    """

    label: str
    suite: str
    temperature: float

    def holds(self, row: EpisodeRow) -> bool:
        """Whether an episode belongs to it."""
        return (row.policy, row.suite, row.temperature) == (
            self.label,
            self.suite,
            self.temperature,
        )


@dataclass(frozen=True)
class PlannedCell:
    """A cell that the matrix is to have.  parts: evaluation -> its number of episodes."""

    name: CellName
    role: Role
    parts: Mapping[CellEvaluation, int]

    def missing(self, record: CellRecord | None) -> dict[CellEvaluation, int]:
        """Return the parts that are not complete, with the number of episodes they lack."""
        rows = record.rows if record is not None else ()
        lacking = {
            part: count - sum(part.holds(row) for row in rows) for part, count in self.parts.items()
        }
        return {part: count for part, count in lacking.items() if count > 0}


SceneKey = tuple[int, EpisodeName]
"""Training seed and scene: what two methods' episodes are paired by."""


@dataclass(frozen=True)
class Matrix:
    """The planned cells with what has been measured of them so far."""

    planned: Sequence[PlannedCell]
    records: Mapping[CellName, CellRecord]

    @property
    def suites(self) -> tuple[str, ...]:
        """The suites, in order of the plan."""
        return tuple(dict.fromkeys(cell.name.suite for cell in self.planned))

    def methods(self, role: Role) -> tuple[str, ...]:
        """The methods of a role, in order of the plan."""
        return tuple(dict.fromkeys(cell.name.method for cell in self.planned if cell.role is role))

    def seeds(self, suite: str, method: str) -> tuple[int, ...]:
        """The seeds that a method is planned with on a suite."""
        return tuple(
            cell.name.seed
            for cell in self.planned
            if (cell.name.suite, cell.name.method) == (suite, method)
        )

    def scenes(
        self, method: str, suites: Sequence[str], seeds: Sequence[int], kinds: Kinds
    ) -> dict[SceneKey, EpisodeRow]:
        """Return a method's episodes of some kinds by training seed and scene."""
        found: dict[SceneKey, EpisodeRow] = {}
        for suite in suites:
            for seed in seeds:
                rows = self._rows.get(CellName(suite, method, seed), {})
                for part in kinds.parts(suite):
                    found |= {(seed, row.name): row for row in rows.get(part, ())}
        return found

    def complete(self, methods: Sequence[str], suites: Sequence[str], kinds: Kinds) -> bool:
        """Whether cells for this are planned and every episode of theirs has been measured."""
        wanted = {(method, suite) for method in methods for suite in suites}
        cells = [cell for cell in self.planned if (cell.name.method, cell.name.suite) in wanted]
        planned = {(cell.name.method, cell.name.suite) for cell in cells}
        return planned == wanted and not any(
            part in self._missing[cell.name] or part not in cell.parts
            for cell in cells
            for part in kinds.parts(cell.name.suite)
        )

    @cached_property
    def _missing(self) -> dict[CellName, dict[CellEvaluation, int]]:
        return {cell.name: cell.missing(self.records.get(cell.name)) for cell in self.planned}

    @cached_property
    def _rows(self) -> dict[CellName, dict[CellEvaluation, list[EpisodeRow]]]:
        grouped: dict[CellName, dict[CellEvaluation, list[EpisodeRow]]] = {}
        for name, record in self.records.items():
            parts: dict[CellEvaluation, list[EpisodeRow]] = {}
            for row in record.rows:
                parts.setdefault(CellEvaluation(row.policy, row.suite, row.temperature), []).append(
                    row
                )
            grouped[name] = parts
        return grouped


@dataclass(frozen=True)
class Kinds:
    """Which evaluations of a cell a figure is about.

    temperature: 0 is greedy.  perturbed: the LIBERO-PRO kinds; empty for the suite itself.
    """

    temperature: float = 0.0
    perturbed: tuple[str, ...] = ()
    label: str = AS_TRAINED

    def parts(self, suite: str) -> list[CellEvaluation]:
        """Return the parts of a cell of `suite`."""
        names = [f'{suite}_{kind}' for kind in self.perturbed] or [suite]
        return [CellEvaluation(self.label, name, self.temperature) for name in names]
