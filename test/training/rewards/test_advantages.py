"""Advantages of one group, against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.training.rewards.advantages import group_normalised, profile_scores
from smoothvla_ros.training.rewards.equal_pace import stalled_blocks
from smoothvla_ros.training.rewards.phases import Profile

EVERYONE = np.array([True, True, True])


def episode_scores(jerk, compared, spread_floor, clip) -> np.ndarray:
    """Score one number a rollout: profiles of a single block."""
    profiles = [Profile(np.array([value]), (8,)) for value in jerk]
    return np.concatenate(profile_scores(profiles, compared, spread_floor, clip))


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
    scores = episode_scores(np.array([1.0, 2.0, 3.0]), EVERYONE, 1e-6, clip=9.0)
    np.testing.assert_allclose(scores, [np.sqrt(1.5), 0.0, -np.sqrt(1.5)], atol=1e-12)


def test_spread_below_the_floor_is_not_blown_up():
    """The floor replaces a smaller std, so noise stays small."""
    scores = episode_scores(np.array([1.0, 1.001, 0.999]), EVERYONE, 0.1, clip=2.0)
    np.testing.assert_allclose(scores, [0.0, -0.01, 0.01], atol=1e-12)


def test_scores_are_clipped():
    """One rollout far off scores -c, not more."""
    jerk = np.array([1.0] * 15 + [100.0])
    assert episode_scores(jerk, np.ones(16, dtype=bool), 0.05, clip=2.0)[-1] == -2.0


def test_fewer_than_two_compared_rollouts_score_nothing():
    """A single success has nobody to be compared with."""
    one = np.array([True, False, False])
    assert not episode_scores(np.array([1.0, 2.0, 3.0]), one, 0.05, clip=2.0).any()


def test_profiles_are_compared_at_the_same_phase():
    """Each block is scored against that block of the others, not against the rollout's mean."""
    profiles = [Profile(np.array(values), (8, 8)) for values in ([1.0, 30.0], [3.0, 10.0])]
    scores = profile_scores(profiles, np.array([True, True]), 1e-6, clip=2.0)
    spread = np.sqrt((1.0**2 + 10.0**2) / 2.0)
    expected = [[1.0 / spread, -10.0 / spread], [-1.0 / spread, 10.0 / spread]]
    np.testing.assert_allclose(scores, expected)


def test_a_rollouts_scores_add_up_to_its_mean_jerk():
    """One spread for all phases: who is smoother as a whole has the higher mean score."""
    generator = np.random.default_rng(3)
    profiles = [Profile(generator.uniform(1.0, 5.0, 12), (8,) * 12) for _ in range(3)]
    scores = [score.mean() for score in profile_scores(profiles, EVERYONE, 1e-6, clip=9.0)]
    jerk = np.array([profile.values.mean() for profile in profiles])
    spread = np.std([profile.values for profile in profiles], axis=0)
    expected = (jerk.mean() - jerk) / np.sqrt(np.mean(spread**2))
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_a_longer_rollout_is_read_at_its_own_phase():
    """The same ramp of jerk in 4 and in 8 blocks, and cut in a block, scores 0 inside."""
    lengths = [(8,) * 4, (4,) * 8, (8, 8, 8, 3)]
    ramps = [Profile.means(np.arange(sum(n)) / sum(n), n) for n in lengths]
    scores = profile_scores(ramps, EVERYONE, 0.05, clip=2.0)
    for score in scores:
        np.testing.assert_allclose(score[1:-1], 0.0, atol=0.2)


def test_blocks_that_do_not_fill_the_rollout_are_refused():
    """A profile never leaves steps out unnoticed."""
    with pytest.raises(ValueError, match='do not fill 9 steps'):
        Profile.means(np.ones(9), (8,))


def test_a_rest_that_all_take_is_no_stall():
    """A block at a standstill is read as a tenth of the mean speed: beside a creep it rests alike.

    Beside one that goes on it dawdles.
    """
    both = np.array([True, True])
    for speed, stalls in ((0.05, False), (0.6, True)):
        profiles = [Profile(np.array(values), (8, 8)) for values in ([1.0, 0.0], [1.0, speed])]
        blocks = stalled_blocks(profiles, both)
        assert [block.tolist() for block in blocks] == [[False, stalls], [False, False]]


def test_who_is_not_compared_does_not_make_the_others_dawdle():
    """A failure that races on is no yardstick of the successes' speed."""
    speeds = ([1.0, 1.0], [1.0, 0.9], [1.0, 9.0])
    profiles = [Profile(np.array(values), (8, 8)) for values in speeds]
    assert not any(block.any() for block in stalled_blocks(profiles, np.array([True, True, False])))
