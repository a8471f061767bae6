"""Intervals over training seeds, tasks, init states and scenes, drawn once for many figures."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import lru_cache

import numpy as np

from smoothvla_ros.evaluation.benchmark.matrix import SceneKey
from smoothvla_ros.evaluation.intervals.bootstrap import (
    LEAST_OBSERVATIONS,
    draw_children,
    resample_weights,
)
from smoothvla_ros.evaluation.intervals.rates import CONFIDENCE, Interval

REPLICATES = 2_000
_SEED = 0


class SceneBootstrap:
    """Resamples of a set of scenes: each is one vector of weights, used for every figure of them.

    The policies of all training seeds meet the same tasks and init states, so the two are crossed,
    not nested: seeds are drawn, tasks and init states within them are drawn, and an episode counts
    as often as the product says (the pigeonhole bootstrap; Owen, Annals of Applied Statistics 1
    (2007) 386). Seeds that teach nothing new therefore narrow nothing. A figure
    that exists for some scenes only, a jerk where both succeed, takes part with their weights.
    Over fewer than LEAST_OBSERVATIONS different scenes its interval has ends of NaN.
    """

    def __init__(self, scenes: Sequence[SceneKey], replicates: int = REPLICATES) -> None:
        """scenes: n, in the order of the arrays that the figures are computed from."""
        self._weights = _weights(tuple(scenes), replicates)
        self._names = [name for _, name in scenes]

    def means(self, values: np.ndarray) -> list[Interval | None]:
        """Interval of the mean of each column of values [n, k], NaN where a scene has none."""
        return self._ratios(values, np.ones_like(values))

    def changes_percent(self, before: np.ndarray, after: np.ndarray) -> list[Interval | None]:
        """Interval of 100 * (mean(after) / mean(before) - 1), column by column of [n, k] each."""
        return [
            None
            if ratio is None
            else Interval(*(100.0 * (x - 1.0) for x in (ratio.mean, ratio.low, ratio.high)))
            for ratio in self._ratios(after, before)
        ]

    def _ratios(self, above: np.ndarray, below: np.ndarray) -> list[Interval | None]:
        """Interval of sum(above) / sum(below) of each column; None where there is nothing.

        A scene takes part where both exist; resamples without anything to divide by are left out.
        """
        used = np.isfinite(above) & np.isfinite(below)
        above, below = np.where(used, above, 0.0), np.where(used, below, 0.0)
        tops, bottoms = self._weights @ above, self._weights @ below
        found: list[Interval | None] = []
        for column in range(above.shape[1]):
            total = below[:, column].sum()
            if total == 0.0:
                found.append(None)
                continue
            estimate = float(above[:, column].sum() / total)
            scenes = {self._names[row] for row in np.flatnonzero(used[:, column])}
            if len(scenes) < LEAST_OBSERVATIONS:
                found.append(Interval.unknown(estimate))
                continue
            drawn = bottoms[:, column] != 0.0
            tails = [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0]
            low, high = np.quantile(tops[drawn, column] / bottoms[drawn, column], tails)
            found.append(Interval(estimate, float(low), float(high)))
        return found


@lru_cache(maxsize=16)
def _weights(scenes: tuple[SceneKey, ...], replicates: int) -> np.ndarray:
    """Draw the resamples, [replicates, n]; all methods meet the same scenes and share them."""
    generator = np.random.default_rng(_SEED)
    starts = [((name.suite, name.task), name.init_state) for _, name in scenes]
    of_seed = _counts([(seed,) for seed, _ in scenes], replicates, generator)
    of_start = _counts(starts, replicates, generator)
    cells: dict[Hashable, list[int]] = {}
    for row, (seed, _) in enumerate(scenes):
        cells.setdefault((seed, starts[row]), []).append(row)
    weights = np.empty((replicates, len(scenes)))
    for rows in cells.values():
        # Several scenes of one seed and init state are its own: drawn within it.
        weights[:, rows] = draw_children(
            of_seed[:, rows[0]] * of_start[:, rows[0]], len(rows), generator
        )
    return weights


def _counts(
    labels: Sequence[tuple[Hashable, ...]], replicates: int, generator: np.random.Generator
) -> np.ndarray:
    """Resample the distinct labels; returns how often the label of each row came, [.., n]."""
    distinct = {label: index for index, label in enumerate(dict.fromkeys(labels))}
    drawn = resample_weights(list(distinct), replicates, generator)
    return drawn[:, [distinct[label] for label in labels]]
