"""The figures of supervised training as lines of JSON, and for TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter

from smoothvla_ros.atomic_files import write_file

METRICS = 'metrics.jsonl'


class SFTMetricsLog:
    """Appends to ``metrics.jsonl`` and to TensorBoard events under one folder."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        """Open both to go on from `step`.

        What was written of later steps, before a run was killed, comes again: no figure stands
        twice.  A line that was cut off goes too.
        """
        path = folder / METRICS
        self._written: set[tuple[str, ...]] = set()
        if path.is_file():
            kept = [line for line in path.read_text().splitlines() if _is_before(line, step)]
            write_file(path, ''.join(f'{line}\n' for line in kept))
            self._written = {_key(**json.loads(line)) for line in kept}
        self._lines = path.open('a')
        self._board = SummaryWriter(str(folder / 'tensorboard'), purge_step=step + 1)

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write the figures of one step, unless they stand already."""
        if _key(step, **figures) in self._written:
            return
        self._lines.write(json.dumps({'step': step, **figures}) + '\n')
        self._lines.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def __enter__(self) -> SFTMetricsLog:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close both."""
        self._lines.close()
        self._board.close()


def _key(step: int, **figures: float) -> tuple[str, ...]:
    """Return what a line is of: its step and the names of its figures."""
    return (str(step), *sorted(figures))


def _is_before(line: str, step: int) -> bool:
    """Say whether a line is whole and of a step up to `step`."""
    try:
        return int(json.loads(line)['step']) <= step
    except (ValueError, KeyError, TypeError):
        return False
