"""Bootstrap intervals, against SciPy, closed forms and their own coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.intervals.bootstrap import (
    mean_interval,
    paired_change_percent,
    paired_difference,
    resample_weights,
)


def lognormal_pairs(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return skewed, correlated pairs [count] with mean(after) near 0.7 mean(before)."""
    rng = np.random.default_rng(seed)
    before = rng.lognormal(1.0, 0.5, count)
    return before, before * rng.lognormal(np.log(0.7), 0.2, count)


def percent(before: np.ndarray, after: np.ndarray, axis: int = -1) -> np.ndarray:
    """Percent change of means, as SciPy's bootstrap calls it."""
    return 100.0 * (np.mean(after, axis=axis) / np.mean(before, axis=axis) - 1.0)


@pytest.mark.parametrize('count', [12, 40])
def test_paired_change_is_scipys_bca(count: int) -> None:
    """The BCa interval of the percent change equals SciPy's, up to the resampling's own noise."""
    before, after = lognormal_pairs(count, seed=count)
    ours = paired_change_percent(before, after, seed=1, replicates=20_000)
    theirs = stats.bootstrap(
        (before, after), percent, paired=True, method='BCa', n_resamples=20_000, rng=2
    ).confidence_interval
    assert ours.mean == pytest.approx(percent(before, after), rel=1e-12)
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * (theirs.high - theirs.low))
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * (theirs.high - theirs.low))


@pytest.mark.parametrize('seed', [1, 3, 5])
def test_ties_with_the_estimate_are_half_below_it(seed: int) -> None:
    """Of differences of 0 and 1 many resamples equal the estimate: SciPy's BCa counts half."""
    differences = (np.random.default_rng(seed).random(15) < 0.2).astype(np.float64)
    ours = mean_interval(differences, seed=1, replicates=20_000)
    theirs = stats.bootstrap(
        (differences,), np.mean, method='BCa', n_resamples=20_000, rng=2
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_change_percent_covers_the_truth() -> None:
    """Of many experiments with 40 pairs, about 95% of the intervals hold the true change."""
    truth = 100.0 * (0.7 * np.exp(0.5 * 0.2**2) - 1.0)
    intervals = [
        paired_change_percent(*lognormal_pairs(40, seed), seed=0, replicates=400)
        for seed in range(300)
    ]
    covered = np.mean([interval.low <= truth <= interval.high for interval in intervals])
    assert 0.90 < covered < 0.985


def test_means_and_differences_match_the_normal_closed_form() -> None:
    """On many near-normal values the bootstrap interval is mean +- 1.96 standard errors."""
    rng = np.random.default_rng(5)
    values, shift = rng.normal(3.0, 1.0, 400), rng.normal(0.5, 0.2, 400)
    error = 1.96 * values.std() / 20.0
    interval = mean_interval(values, seed=0)
    expected = (values.mean() - error, values.mean() + error)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.1 * error)
    error = 1.96 * shift.std() / 20.0
    interval = paired_difference(values, values + shift, seed=0)
    expected = (shift.mean() - error, shift.mean() + error)
    assert (interval.low, interval.high) == pytest.approx(expected, abs=0.1 * error)


def test_the_seed_fixes_the_interval() -> None:
    """The same seed gives the same bits; another seed another interval."""
    before, after = lognormal_pairs(20, seed=8)
    first = paired_change_percent(before, after, seed=4, replicates=500)
    assert first == paired_change_percent(before, after, seed=4, replicates=500)
    assert first != paired_change_percent(before, after, seed=5, replicates=500)


def test_equal_pairs_have_no_width() -> None:
    """Where every pair changes alike there is nothing uncertain, and nothing divides by zero."""
    before = np.linspace(1.0, 2.0, 10)
    interval = paired_change_percent(before, 0.5 * before, seed=0, replicates=200)
    assert (interval.mean, interval.low, interval.high) == pytest.approx((-50.0, -50.0, -50.0))
    single = paired_change_percent([2.0], [1.0], seed=0, replicates=200)
    assert (single.low, single.high) == pytest.approx((-50.0, -50.0))


def test_hierarchical_width_is_that_of_the_clusters() -> None:
    """Values that differ only between seeds are as uncertain as so many seeds, not so many rows."""
    seeds, episodes = 6, 50
    of_seed = np.random.default_rng(2).normal(size=seeds)
    values = np.repeat(of_seed, episodes)
    levels = [(seed, episode) for seed in range(seeds) for episode in range(episodes)]
    nested = mean_interval(values, seed=0, levels=levels, replicates=4000)
    tails = np.random.default_rng(1).choice(of_seed, size=(40_000, seeds)).mean(axis=1)
    low, high = np.quantile(tails, [0.025, 0.975])
    assert (nested.low, nested.high) == pytest.approx((low, high), abs=0.08 * (high - low))
    flat = mean_interval(values, seed=0, replicates=4000)
    assert flat.high - flat.low < 0.4 * (nested.high - nested.low)


def test_hierarchical_variance_is_the_sum_of_the_levels() -> None:
    """Variance of the resampled mean of a balanced two-level design, in closed form."""
    groups, size = 8, 5
    values = np.random.default_rng(9).normal(size=(groups, size))
    levels = [(group, item) for group in range(groups) for item in range(size)]
    weights = resample_weights(levels, 20_000, np.random.default_rng(0))
    assert (weights.sum(axis=1) == groups * size).all()
    resampled = weights @ values.ravel() / (groups * size)
    within = values.var(axis=1).mean() / (groups * size)
    expected = values.mean(axis=1).var() / groups + within
    assert resampled.var() == pytest.approx(expected, rel=0.05)


def test_bad_samples_are_refused() -> None:
    """No values, values that are not finite, and unequal pairs never become an interval."""
    with pytest.raises(UserError, match='nothing to average'):
        mean_interval([], seed=0)
    with pytest.raises(ValueError, match='not finite'):
        mean_interval([1.0, float('nan')], seed=0)
    with pytest.raises(ValueError, match='cannot be paired'):
        paired_difference([1.0], [1.0, 2.0], seed=0)
