"""The progress of a training job in a terminal."""

from __future__ import annotations

import math

from tqdm import tqdm

from smoothvla_ros.training.progress import Phase, TrainStatus

_ITERATING = (Phase.ROLLOUTS, Phase.UPDATE)


class ProgressBar:
    """A bar for every iteration; call it with each status. Evaluations have their own."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._bar: tqdm | None = None
        self._title = ''

    def __call__(self, status: TrainStatus) -> None:
        """Show where the job stands."""
        title = _title(status)
        if title != self._title:
            self._close()
            self._title = title
        if not title:
            return
        if self._bar is None:
            self._bar = tqdm(
                desc=title,
                unit='episode',
                disable=None,
            )
        self._bar.total = status.episodes_planned or None
        self._bar.n = status.episodes_done
        self._bar.set_postfix_str(_figures(status), refresh=False)
        self._bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _title(status: TrainStatus) -> str:
    """Return what the bar of a status is called; nothing where it has none."""
    where = f'iteration {status.iteration}/{status.iterations}'
    if status.phase in _ITERATING:
        return where
    return f'greedy, after {where}' if status.phase is Phase.EVALUATE else ''


def _figures(status: TrainStatus) -> str:
    figures = {
        'success': f'{100.0 * status.success:.0f}%',
        'jerk': f'{status.jerk:.2f} m/s³',
        'entropy': f'{status.entropy:.2f}',
        'episodes/min': f'{status.episodes_per_minute:.0f}',
    }
    values = (status.success, status.jerk, status.entropy, status.episodes_per_minute)
    known = [
        f'{name} {text}'
        for (name, text), value in zip(figures.items(), values, strict=True)
        if math.isfinite(value)
    ]
    return ', '.join(['learning', *known] if status.phase is Phase.UPDATE else known)
