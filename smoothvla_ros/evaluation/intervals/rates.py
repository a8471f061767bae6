"""Intervals for rates: Wilson for one policy, Newcombe and McNemar for two on the same episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest

from smoothvla_ros.errors import UserError

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval, all in the unit of the estimate."""

    mean: float
    low: float
    high: float

    @classmethod
    def unknown(cls, mean: float) -> Interval:
        """Return an estimate whose interval nobody knows: both ends NaN."""
        return cls(mean, math.nan, math.nan)

    def scaled(self, factor: float) -> Interval:
        """Return the same interval in another unit; `factor` must be positive."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor)


def bounds(interval: Interval | None) -> dict[str, float | None]:
    """Return an interval as files of figures hold it; every number is None where there is none."""
    if interval is None:
        return {'mean': None, 'low': None, 'high': None}
    return {'mean': interval.mean, 'low': interval.low, 'high': interval.high}


def wider(interval: Interval, other: Interval | None) -> Interval:
    """Return both ends that are further out, about the mean of the first.

    other: None, or one whose ends nobody knows, leaves the first as it is.
    """
    if other is None or math.isnan(other.low):
        return interval
    return Interval(interval.mean, min(interval.low, other.low), max(interval.high, other.high))


def wilson(
    successes: int, trials: int, confidence: float = CONFIDENCE, design_effect: float = 1.0
) -> Interval:
    """Score interval of a success rate, in [0, 1] (Wilson 1927).

    design_effect: of trials that are alike in groups; they count as trials / design_effect (Rao
    and Scott 1992; Franco, Little, Louis and Slud 2019 compare intervals of this kind).
    Raises UserError for no trials, or for more successes than trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise UserError(f'{successes} successes of {trials} episodes is no rate; run some episodes')
    rate = successes / trials
    if design_effect == 1.0:
        found = binomtest(successes, trials).proportion_ci(confidence, method='wilson')
        return Interval(rate, float(found.low), float(found.high))
    worth, squared = trials / design_effect, NormalDist().inv_cdf(0.5 + confidence / 2.0) ** 2
    centre = (rate + squared / (2.0 * worth)) / (1.0 + squared / worth)
    half = math.sqrt(squared * (rate * (1.0 - rate) + squared / (4.0 * worth)) / worth)
    half /= 1.0 + squared / worth
    return Interval(rate, min(rate, centre - half), max(rate, centre + half))


@dataclass(frozen=True)
class PairedCounts:
    """How two policies did on the same episodes."""

    both: int
    only_before: int
    only_after: int
    neither: int

    @classmethod
    def of(cls, before: ArrayLike, after: ArrayLike) -> PairedCounts:
        """Count from two success lists [n] of the same episodes in the same order."""
        first, second = np.asarray(before, bool), np.asarray(after, bool)
        if first.shape != second.shape:
            raise ValueError(f'{first.size} and {second.size} outcomes cannot be paired')
        return cls(
            both=int(np.sum(first & second)),
            only_before=int(np.sum(first & ~second)),
            only_after=int(np.sum(~first & second)),
            neither=int(np.sum(~first & ~second)),
        )

    @property
    def pairs(self) -> int:
        """Number of episodes that both policies ran."""
        return self.both + self.only_before + self.only_after + self.neither


def success_difference(counts: PairedCounts, design_effect: float = 1.0) -> Interval:
    """Interval of the success rate after minus before, paired, in [-1, 1].

    Newcombe, Statistics in Medicine 17 (1998) 2635, method 10: the Wilson intervals of both rates
    joined with their correlation, which is continuity-corrected where it is positive.
    design_effect: of the differences of pairs that are alike in groups, by which all counts are
    divided (Rao and Scott 1992).
    """
    before = wilson(counts.both + counts.only_before, counts.pairs, design_effect=design_effect)
    after = wilson(counts.both + counts.only_after, counts.pairs, design_effect=design_effect)
    correlation = _phi(counts, design_effect)
    lower = (after.mean - after.low, before.high - before.mean)
    upper = (after.high - after.mean, before.mean - before.low)
    difference = after.mean - before.mean
    return Interval(
        difference,
        difference - _joined(*lower, correlation),
        difference + _joined(*upper, correlation),
    )


def mcnemar(counts: PairedCounts) -> float:
    """Exact two-sided p-value that both policies succeed equally often (McNemar, binomial)."""
    discordant = counts.only_before + counts.only_after
    return float(binomtest(counts.only_before, discordant).pvalue) if discordant else 1.0


def mcnemar_of_groups(changes: Sequence[int]) -> float:
    """Return McNemar's exact p-value for pairs that are alike in groups.

    changes: of each group, scenes that only the second policy solved minus those that only the
    first did.  If both succeed equally often, each group's change is as likely the other way
    round (Fisher's sign flips, of which McNemar's test is the case of one scene a group): the
    share of all flips whose sum is at least as far from zero as the one that was found.
    """
    sizes = [abs(change) for change in changes if change]
    # How likely each sum of flipped changes is, from -sum(sizes) to sum(sizes).
    chances = np.ones(1)
    for size in sizes:
        flipped = np.zeros(len(chances) + 2 * size)
        flipped[: len(chances)] += 0.5 * chances
        flipped[2 * size :] += 0.5 * chances
        chances = flipped
    sums = np.arange(len(chances)) - sum(sizes)
    return min(1.0, float(chances[np.abs(sums) >= abs(sum(changes))].sum()))


def _joined(first: float, second: float, correlation: float) -> float:
    """Half-width of a difference whose sides have half-widths `first` and `second`."""
    return math.sqrt(max(0.0, first**2 - 2.0 * correlation * first * second + second**2))


def _phi(counts: PairedCounts, design_effect: float) -> float:
    """Correlation of the two outcomes; 0 where one policy always or never succeeds."""
    margins = (
        (counts.both + counts.only_before)
        * (counts.only_after + counts.neither)
        * (counts.both + counts.only_after)
        * (counts.only_before + counts.neither)
    )
    if margins == 0:
        return 0.0
    product = float(counts.both * counts.neither - counts.only_before * counts.only_after)
    if product > 0:
        product = max(product - design_effect * counts.pairs / 2.0, 0.0)
    return product / math.sqrt(margins)
