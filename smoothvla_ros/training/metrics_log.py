"""The figures of every iteration as metrics.csv and for TensorBoard."""

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

TENSORBOARD = 'tensorboard'


class MetricsLog:
    """Written again from the history when a run is resumed, so that no figure stands twice."""

    def __init__(self, folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
        """Open `folder` with the iterations that are already in `history`."""
        self._path = folder / METRICS
        self._history = list(history)
        shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)
        self._board = SummaryWriter(str(folder / TENSORBOARD))
        for figures in self._history:
            self._add_to_board(figures)
        self._write_table()

    def __enter__(self) -> MetricsLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._board.close()

    def add(self, figures: Mapping[str, Any]) -> None:
        """Write one more iteration; `figures['iteration']` is its number."""
        self._history.append(figures)
        self._add_to_board(figures)
        self._board.flush()
        self._write_table()

    def _add_to_board(self, figures: Mapping[str, Any]) -> None:
        for name, value in figures.items():
            if name != 'iteration' and math.isfinite(value):
                self._board.add_scalar(name, value, figures['iteration'])

    def _write_table(self) -> None:
        columns = list(dict.fromkeys(name for figures in self._history for name in figures))
        with new_file(self._path) as temporary, temporary.open('w', newline='') as file:
            writer = csv.DictWriter(file, columns, restval='', lineterminator='\n')
            writer.writeheader()
            writer.writerows(self._history)
