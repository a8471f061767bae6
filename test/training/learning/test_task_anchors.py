"""A task that loses successes is held to its course by more, until it has them again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothvla_ros.training.learning.task_anchors import MOST, standard_error, tightened
from smoothvla_ros.training.rewards.outcomes import SuccessCount

GAIN = 1.4
ALL, HALF, NONE = SuccessCount(8, 8), SuccessCount(4, 8), SuccessCount(0, 8)

counts = st.integers(1, 40).flatmap(
    lambda rollouts: st.builds(SuccessCount, st.integers(0, rollouts), st.just(rollouts))
)


def test_a_group_that_lost_everything_is_held_by_more_by_hand():
    """8 of 8 before and 0 of 8 now: 9 of 18 with Laplace's, an error of 1/4, 3/4 that count."""
    assert standard_error(NONE, ALL) == pytest.approx(0.25)
    assert tightened(1.0, NONE, ALL, GAIN) == pytest.approx(math.exp(GAIN * 0.75))


def test_a_task_that_has_its_successes_again_is_let_go():
    """By the error of 8 of 8 against 8 of 8, a group; never below where every task began."""
    error = math.sqrt(17 / 18 * 1 / 18 / 4)
    assert tightened(8.0, ALL, ALL, GAIN) == pytest.approx(8.0 * math.exp(-GAIN * error))
    assert tightened(1.0, ALL, HALF, GAIN) == 1.0


def test_a_task_that_fails_as_often_as_at_the_start_stays():
    """Half of the rollouts failed before: what fails now is no loss."""
    assert tightened(1.0, HALF, HALF, GAIN) == 1.0


@pytest.mark.parametrize('start', [NONE, SuccessCount(0, 0)])
def test_a_task_that_was_never_solved_is_not_held(start):
    """Nor one of a checkpoint that does not know how often it was."""
    assert tightened(1.0, NONE, start, GAIN) == 1.0


@given(st.floats(1.0, MOST), counts, counts, st.floats(0.0, 10.0))
def test_it_stays_in_its_range(factor, group, start, gain):
    """For any group."""
    assert 1.0 <= tightened(factor, group, start, gain) <= MOST


@given(st.floats(1.0, MOST), st.integers(0, 7), st.integers(2, 40))
def test_one_success_less_never_holds_by_less(factor, succeeded, rollouts):
    """Of a group of eight, against a start of any size that always succeeded."""
    start = SuccessCount(rollouts, rollouts)
    more, less = SuccessCount(succeeded + 1, 8), SuccessCount(succeeded, 8)
    assert tightened(factor, more, start, GAIN) <= tightened(factor, less, start, GAIN)


@pytest.mark.parametrize('rate', [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_a_policy_that_does_not_change_is_seldom_held_by_much(rate):
    """Start and groups scatter alike: thirty groups of seven against a start of seven."""
    generator = np.random.default_rng(0)
    factors = []
    for _ in range(400):
        start = SuccessCount(generator.binomial(7, rate), 7)
        factor = 1.0
        for _ in range(30):
            group = SuccessCount(generator.binomial(7, rate), 7)
            factor = tightened(factor, group, start, GAIN)
        factors.append(factor)
    assert np.mean(np.array(factors) > 4.0) < 0.12
    assert np.median(factors) == 1.0


def test_a_task_that_lost_half_of_its_successes_is_held_within_a_few_groups():
    """Four groups, one realisation after the other: what is real is not taken for scatter."""
    generator = np.random.default_rng(0)
    factors = []
    for _ in range(200):
        factor = 1.0
        for _ in range(4):
            group = SuccessCount(generator.binomial(7, 0.5), 7)
            factor = tightened(factor, group, ALL, GAIN)
        factors.append(factor)
    assert np.mean(np.array(factors) > 2.0) > 0.9
