"""Bootstrap intervals of means and of paired changes, plain or hierarchical.

Every resample is a vector of integer weights, one an observation, so that a statistic of all
resamples is one matrix product, and the hierarchical bootstrap differs from the plain one only in
how the weights are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.intervals.rates import CONFIDENCE, Interval

REPLICATES = 10_000

# How often a bootstrap's 95 % interval holds the truth, in a simulation: of 3 observations in 70 %,
# of 5 in 81 %, of 10 in 87 %.
LEAST_OBSERVATIONS = 5
"""Of fewer no interval is given."""

NARROW_BELOW = 20
"""Of fewer an interval is somewhat narrow, which is then said."""

# Resamples drawn at a time: bounds the memory at thousands of episodes.
_BLOCK = 1_000

Levels = Sequence[Sequence[Hashable]]
Statistic = Callable[[np.ndarray], np.ndarray]


def mean_interval(
    values: ArrayLike,
    *,
    seed: int,
    levels: Levels | None = None,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of the mean of `values` [n], in their unit."""
    sample = _finite(values, 'values')

    def statistic(weights: np.ndarray) -> np.ndarray:
        return weights @ sample / weights.sum(axis=1)

    return _interval(statistic, len(sample), seed, levels, replicates, confidence)


def paired_change_percent(
    before: ArrayLike,
    after: ArrayLike,
    *,
    seed: int,
    levels: Levels | None = None,
    replicates: int = REPLICATES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Interval of 100 * (mean(after) / mean(before) - 1) over pairs, in percent.

    before, after: [n], the same episodes in the same order, positive.
    levels: None resamples pairs, with a BCa interval (Efron 1987). Otherwise the labels of each
    pair from the outermost level inwards, for example (training seed, task, init state): every
    level is resampled with replacement within the one above it, with a percentile interval.
    """
    first, second = _finite(before, 'before'), _finite(after, 'after')
    _same_length(first, second)

    def statistic(weights: np.ndarray) -> np.ndarray:
        return 100.0 * ((weights @ second) / (weights @ first) - 1.0)

    return _interval(statistic, len(first), seed, levels, replicates, confidence)


def paired_difference(
    before: ArrayLike,
    after: ArrayLike,
    *,
    seed: int,
    levels: Levels | None = None,
    replicates: int = REPLICATES,
) -> Interval:
    """Interval of mean(after - before) over pairs; `levels` as in `paired_change_percent`."""
    first, second = _finite(before, 'before'), _finite(after, 'after')
    _same_length(first, second)
    return mean_interval(second - first, seed=seed, levels=levels, replicates=replicates)


def resample_weights(levels: Levels, replicates: int, rng: np.random.Generator) -> np.ndarray:
    """Draw hierarchical resamples.

    levels: n rows of labels, outermost first. Returns int64 [replicates, n]: how often each row
    was drawn. A group that was drawn c times has its k children drawn c * k times, uniformly: c
    resamples of k children each. Rows that share all labels are the innermost children.
    """
    rows = [tuple(row) for row in levels]
    weights = np.zeros((replicates, len(rows)), np.int64)

    def draw(members: list[int], depth: int, counts: np.ndarray) -> None:
        groups: dict[Hashable, list[int]] = {}
        for member in members:
            label = rows[member][depth] if depth < len(rows[member]) else member
            groups.setdefault(label, []).append(member)
        children = list(groups.values())
        drawn = draw_children(counts, len(children), rng)
        for column, child in enumerate(children):
            if depth < len(rows[child[0]]):
                draw(child, depth + 1, drawn[:, column])
            else:
                weights[:, child[0]] = drawn[:, column]

    draw(list(range(len(rows))), 0, np.ones(replicates, np.int64))
    return weights


def draw_children(counts: np.ndarray, children: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `counts` [replicates] resamples of `children`; returns how often each came."""
    replicates = len(counts)
    if children == 1:
        # Every resample of one child is that child: no draw, and most of the innermost levels.
        return counts[:, None]
    if (counts == 1).all():
        # The same distribution as below, an order of magnitude faster.
        drawn = rng.integers(children, size=(replicates, children))
        cells = drawn + np.arange(replicates)[:, None] * children
        return np.bincount(cells.ravel(), minlength=cells.size).reshape(drawn.shape)
    return rng.multinomial(counts * children, np.full(children, 1.0 / children))


def _interval(
    statistic: Statistic,
    count: int,
    seed: int,
    levels: Levels | None,
    replicates: int,
    confidence: float,
) -> Interval:
    if replicates < 1:
        raise UserError(f'bootstrap replicates={replicates} must be at least 1')
    rows: Levels = [()] * count if levels is None else levels
    if len(rows) != count:
        raise ValueError(f'{len(rows)} rows of labels for {count} observations')
    rng = np.random.default_rng(seed)
    blocks = [min(_BLOCK, replicates - start) for start in range(0, replicates, _BLOCK)]
    estimate = float(statistic(np.ones((1, count)))[0])
    replicated = np.concatenate([statistic(resample_weights(rows, block, rng)) for block in blocks])
    tails = np.array([(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    if levels is None:
        tails = _bca_tails(statistic, estimate, replicated, count, tails)
    low, high = np.quantile(replicated, tails)
    return Interval(estimate, float(low), float(high))


def _bca_tails(
    statistic: Statistic,
    estimate: float,
    replicated: np.ndarray,
    count: int,
    tails: np.ndarray,
) -> np.ndarray:
    """Correct percentile tails for bias and skew (Efron and Tibshirani 1993, section 14.3)."""
    normal = NormalDist()
    below = (np.mean(replicated < estimate) + np.mean(replicated <= estimate)) / 2.0
    if not 0.0 < below < 1.0 or count < 2:
        return tails
    bias = normal.inv_cdf(float(below))
    jackknife = statistic(np.ones((count, count)) - np.eye(count))
    deviation = jackknife.mean() - jackknife
    spread = float(np.sum(deviation**2))
    # All observations alike: the statistic has no skew, and no spread to correct.
    skew = 0.0 if spread == 0.0 else float(np.sum(deviation**3)) / (6.0 * spread**1.5)
    corrected = []
    for tail in tails:
        shifted = bias + normal.inv_cdf(float(tail))
        corrected.append(normal.cdf(bias + shifted / (1.0 - skew * shifted)))
    return np.asarray(corrected)


def _finite(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise UserError(f'{name}: nothing to average; no episode is left, so run more episodes')
    if not np.isfinite(array).all():
        raise ValueError(f'{name} holds a number that is not finite')
    return array


def _same_length(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape != second.shape:
        raise ValueError(f'{first.size} and {second.size} values cannot be paired')
