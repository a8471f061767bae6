"""A task that loses successes is held to its course by more, until it has them again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothvla_ros.training.learning.task_anchors import MOST, TOLERANCE, tightened

share = st.floats(0.0, 1.0)


def test_a_group_that_lost_everything_multiplies_by_nearly_exp_of_the_gain():
    """By hand: 1 before, none now, the tolerance off."""
    assert tightened(1.0, 0.0, 1.0, 1.4) == pytest.approx(math.exp(1.4 * 0.95))


def test_a_task_that_has_its_successes_again_is_let_go_slowly():
    """By exp(gain * tolerance) a group, and never below where every task began."""
    assert tightened(8.0, 1.0, 1.0, 1.4) == pytest.approx(8.0 * math.exp(-1.4 * TOLERANCE))
    assert tightened(1.0, 1.0, 0.5, 1.4) == 1.0


def test_a_task_that_fails_as_often_as_at_the_start_stays():
    """Half of the rollouts failed before: what fails now is no loss."""
    assert tightened(1.0, 0.5, 0.5, 1.4) == 1.0


def test_a_task_that_was_never_solved_is_not_held():
    """Nor one of a checkpoint that does not know how often it was."""
    assert tightened(1.0, 0.0, 0.0, 1.4) == 1.0


@given(st.floats(1.0, MOST), share, share, share, st.floats(0.0, 10.0))
def test_it_stays_in_its_range_and_more_success_never_holds_by_more(
    factor, success, other, starting, gain
):
    """For any group."""
    worse, better = sorted((success, other))
    held = tightened(factor, worse, starting, gain)
    assert 1.0 <= tightened(factor, better, starting, gain) <= held <= MOST


def test_random_failures_at_the_rate_of_the_start_do_not_hold_a_task_for_good():
    """Dual ascent settles: eight rollouts at 0.9 scatter, and the factor stays small."""
    generator = np.random.default_rng(0)
    factors = [1.0]
    for _ in range(500):
        success = generator.binomial(8, 0.9) / 8
        factors.append(tightened(factors[-1], success, 0.9, 1.4))
    assert np.mean(factors) < 1.5
