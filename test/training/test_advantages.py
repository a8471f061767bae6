"""Advantages of one group, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.training.advantages import group_normalised, profile_scores, smoothness_scores

EVERYONE = np.array([True, True, True])


def test_group_normalised_is_eq_1():
    """Three successes of four: (R - mean) / population std."""
    expected = np.array([0.25, 0.25, 0.25, -0.75]) / np.sqrt(0.1875)
    np.testing.assert_allclose(group_normalised(np.array([1.0, 1.0, 1.0, 0.0])), expected)


@pytest.mark.parametrize('value', [0.0, 1.0, 0.3])
def test_a_uniform_group_has_no_advantage(value):
    """Rewards that differ by rounding alone are not divided by it."""
    rewards = np.full(7, value) + np.array([0, 1, -1, 0, 2, 0, -2]) * 1e-16
    assert not group_normalised(rewards).any()


def test_success_and_failure_are_at_least_two_apart():
    """The gap 1 / std >= 2 on which the ranking of `decoupled` rests, for every mixed group."""
    for size in range(2, 17):
        for successes in range(1, size):
            advantages = group_normalised(np.r_[np.ones(successes), np.zeros(size - successes)])
            assert advantages[0] - advantages[-1] >= 2.0 - 1e-12


def test_smoothness_scores_are_in_units_of_the_spread():
    """J = 1, 2, 3: the smoothest is sqrt(3/2) above, the jerkiest as far below."""
    scores = smoothness_scores(np.array([1.0, 2.0, 3.0]), EVERYONE, 1e-6, clip=9.0)
    np.testing.assert_allclose(scores, [np.sqrt(1.5), 0.0, -np.sqrt(1.5)], atol=1e-12)


def test_spread_below_the_floor_is_not_blown_up():
    """The floor replaces a smaller std, so noise stays small."""
    scores = smoothness_scores(np.array([1.0, 1.001, 0.999]), EVERYONE, 0.1, clip=2.0)
    np.testing.assert_allclose(scores, [0.0, -0.01, 0.01], atol=1e-12)


def test_scores_are_clipped():
    """One rollout far off scores -c, not more."""
    jerk = np.array([1.0] * 15 + [100.0])
    assert smoothness_scores(jerk, np.ones(16, dtype=bool), 0.05, clip=2.0)[-1] == -2.0


def test_fewer_than_two_compared_rollouts_score_nothing():
    """A single success has nobody to be compared with."""
    one = np.array([True, False, False])
    assert not smoothness_scores(np.array([1.0, 2.0, 3.0]), one, 0.05, clip=2.0).any()


def test_profiles_are_compared_at_the_same_phase():
    """Each block is scored against that block of the others, not against the rollout's mean."""
    profiles = [np.array([1.0, 30.0]), np.array([3.0, 10.0])]
    scores = profile_scores(profiles, np.array([True, True]), 1e-6, clip=2.0)
    np.testing.assert_allclose(scores, [[1.0, -1.0], [-1.0, 1.0]])


def test_a_longer_rollout_is_read_at_its_own_phase():
    """The same ramp of jerk sampled in 4 and in 8 blocks scores 0 inside the common phases."""
    ramps = [(np.arange(n) + 0.5) / n for n in (4, 8)]
    scores = profile_scores(ramps, np.array([True, True]), 0.05, clip=2.0)
    np.testing.assert_allclose(scores[0], 0.0, atol=1e-12)
    np.testing.assert_allclose(scores[1][1:-1], 0.0, atol=1e-12)
