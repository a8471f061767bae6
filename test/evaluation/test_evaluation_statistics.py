"""Rates and their intervals, against SciPy and published figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.intervals.rates import (
    PairedCounts,
    mcnemar,
    success_difference,
    wilson,
)


@pytest.mark.parametrize('trials', [1, 7, 40, 500])
@pytest.mark.parametrize('share', [0.0, 0.3, 0.95, 1.0])
@pytest.mark.parametrize('confidence', [0.8, 0.95])
def test_wilson_ends_where_the_score_test_does(
    trials: int, share: float, confidence: float
) -> None:
    """Both ends are rates p whose score (p' - p)^2 / (p (1 - p) / n) is the quantile's square."""
    successes = round(share * trials)
    interval = wilson(successes, trials, confidence)
    assert interval.mean == successes / trials
    assert 0.0 <= interval.low <= interval.mean <= interval.high <= 1.0
    squared = stats.norm.ppf(0.5 + confidence / 2.0) ** 2
    for end in (interval.low, interval.high):
        distance = (interval.mean - end) ** 2
        assert distance == pytest.approx(squared * end * (1.0 - end) / trials, abs=1e-12)


@pytest.mark.parametrize(('successes', 'trials'), [(0, 0), (3, 2), (-1, 4)])
def test_wilson_refuses_what_is_no_rate(successes: int, trials: int) -> None:
    """No episodes, or more successes than episodes, is a user error and not a division by zero."""
    with pytest.raises(UserError, match='no rate'):
        wilson(successes, trials)


def test_mcnemar_is_the_exact_binomial_test() -> None:
    """Both tails of a fair coin thrown once for each discordant pair."""
    for only_before, only_after in [(0, 0), (1, 0), (3, 12), (9, 9), (0, 20)]:
        discordant = only_before + only_after
        tail = sum(math.comb(discordant, k) for k in range(min(only_before, only_after) + 1))
        expected = min(1.0, 2.0 * tail / 2**discordant)
        counts = PairedCounts(30, only_before, only_after, 5)
        assert mcnemar(counts) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ('counts', 'published'),
    [
        # Newcombe 1998, method 10.
        (PairedCounts(both=36, only_before=2, only_after=12, neither=0), (0.2, 0.0569, 0.3404)),
        # Fagerland, Lydersen and Laake 2014, airway hyper-responsiveness data.
        (PairedCounts(both=1, only_before=7, only_after=1, neither=12), (-0.2857, -0.507, -0.026)),
    ],
)
def test_success_difference_is_as_published(
    counts: PairedCounts, published: tuple[float, float, float]
) -> None:
    """Newcombe's paired interval reproduces the figures printed in two papers."""
    interval = success_difference(counts)
    assert (interval.mean, interval.low, interval.high) == pytest.approx(published, abs=6e-4)


def test_success_difference_covers_the_truth() -> None:
    """Of many correlated experiments with 40 pairs, about 95% of the intervals hold the truth."""
    rng = np.random.default_rng(3)
    shares = [0.6, 0.05, 0.2, 0.15]
    tables = rng.multinomial(40, shares, size=2000)
    intervals = [success_difference(PairedCounts(*map(int, table))) for table in tables]
    covered = np.mean([interval.low <= 0.15 <= interval.high for interval in intervals])
    assert 0.93 < covered < 0.99


def test_pairs_are_counted_by_outcome() -> None:
    """Two success lists become the four cells, and unequal lists are refused."""
    counts = PairedCounts.of([True, True, False, False], [True, False, True, False])
    assert (counts.both, counts.only_before, counts.only_after, counts.neither) == (1, 1, 1, 1)
    with pytest.raises(ValueError, match='cannot be paired'):
        PairedCounts.of([True], [True, False])
