"""The figures of every iteration, and of its tasks, as tables and for TensorBoard."""

from __future__ import annotations

import csv
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from smoothvla_ros.atomic_files import new_file
from smoothvla_ros.records.run_files import METRICS

TASK_METRICS = 'task_metrics.csv'
TENSORBOARD = 'tensorboard'

Figures = Mapping[str, Any]


class MetricsLog:
    """Written again from the history when a run is resumed, so that no figure stands twice."""

    def __init__(
        self, folder: Path, history: Sequence[Figures], task_history: Sequence[Figures] = ()
    ) -> None:
        """Open `folder` with what there is.

        history, task_history: figures of iterations, and of their tasks; they grow, and whoever
        lets them grow calls `add`.
        """
        self._tables = {folder / METRICS: history, folder / TASK_METRICS: task_history}
        shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
        self._board = SummaryWriter(str(folder / TENSORBOARD))
        self.add(history, task_history)

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()

    def add(self, figures: Sequence[Figures], task_figures: Sequence[Figures]) -> None:
        """Write what the history has more: of iterations, and of their tasks."""
        for row in figures:
            self._add_to_board(row, '')
        for row in task_figures:
            self._add_to_board(row, f'/task_{row["task"]}')
        self._board.flush()
        for path, rows in self._tables.items():
            _write_table(path, rows)

    def _add_to_board(self, figures: Figures, of_what: str) -> None:
        for name, value in figures.items():
            if name not in ('iteration', 'task') and math.isfinite(value):
                self._board.add_scalar(name + of_what, value, figures['iteration'])


def _write_table(path: Path, rows: Sequence[Figures]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with new_file(path) as temporary, temporary.open('w', newline='') as file:
        writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
        writer.writeheader()
        writer.writerows(rows)
