"""The figures of a training run as lines of JSON, and for TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType

from torch.utils.tensorboard import SummaryWriter


class MetricsLog:
    """Appends to ``metrics.jsonl`` and to TensorBoard events under one folder."""

    def __init__(self, folder: Path) -> None:
        """Open both; a resumed run goes on in the same files."""
        self._lines = (folder / 'metrics.jsonl').open('a')
        self._board = SummaryWriter(str(folder / 'tensorboard'))

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Write the figures of one step."""
        self._lines.write(json.dumps({'step': step, **figures}) + '\n')
        self._lines.flush()
        for name, value in figures.items():
            self._board.add_scalar(name, value, step)

    def __enter__(self) -> MetricsLog:
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
