"""One bar over a whole benchmark: how far it is, and the figures of what is running."""

from __future__ import annotations

import math
from types import TracebackType

from tqdm import tqdm

from smoothvla_ros.evaluation.benchmark.matrix import WRONG_INSTRUCTION, CellEvaluation
from smoothvla_ros.evaluation.episodes.running_figures import RunningFigures
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.progress import Phase, TrainStatus


class MatrixProgress:
    """Counts episodes, those of the training included; a context manager."""

    def __init__(self, total: int, cells: int) -> None:
        """total: episodes to run.  cells: how many of them there are."""
        self._bar = tqdm(total=total, unit='episode', disable=None, smoothing=0.05)
        self._cells = cells
        self._cell = 0
        self._before_training = 0
        self._phase = ''

    def __enter__(self) -> MatrixProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def begin(self, name: str) -> None:
        """Show the cell that begins."""
        self._cell += 1
        self._bar.set_description(f'{self._cell}/{self._cells} {name}')
        self._before_training = self._bar.n

    def skip(self, episodes: int) -> None:
        """Count episodes that need not be run after all."""
        self._bar.update(episodes)

    def trained(self, config: TrainConfig, status: TrainStatus) -> None:
        """Show where a training is."""
        an_iteration = config.groups * config.group_size
        finished = status.iteration
        if status.phase in (Phase.ROLLOUTS, Phase.UPDATE):
            finished = max(0, status.iteration - 1)
        done = finished * an_iteration
        if status.phase is Phase.ROLLOUTS:
            done += min(status.episodes_done, an_iteration)
        elif status.phase is Phase.UPDATE:
            done += an_iteration
        self._bar.update(max(0, self._before_training + done - self._bar.n))
        self._show(
            f'iteration {status.iteration}/{status.iterations}',
            status.success,
            status.jerk,
            ('entropy', status.entropy),
        )

    def evaluate(self, part: CellEvaluation) -> None:
        """Show the evaluation that begins."""
        sampling = 'greedy' if part.temperature == 0.0 else f'temperature {part.temperature:g}'
        told = ', wrong instruction' if part.label == WRONG_INSTRUCTION else ''
        self._phase = f'{part.suite}, {sampling}{told}'

    def measured(self, figures: RunningFigures) -> None:
        """Count an evaluated episode; figures: of all of this evaluation."""
        self._bar.update()
        self._show(self._phase, figures.success, figures.jerk)

    def _show(
        self, phase: str, success: float, jerk: float, other: tuple[str, float] | None = None
    ) -> None:
        figures = [phase]
        if math.isfinite(success):
            figures.append(f'success {100.0 * success:.0f}%')
        if math.isfinite(jerk):
            figures.append(f'jerk {jerk:.2f} m/s³')
        if other is not None and math.isfinite(other[1]):
            figures.append(f'{other[0]} {other[1]:.2f}')
        self._bar.set_postfix_str(', '.join(figures))
