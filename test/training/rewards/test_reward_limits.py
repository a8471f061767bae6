"""Where the limits of the rewards lie: a number more or less than stated must show."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.functions import RewardSettings, reward_function
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

CHUNK = 8
JERK_REFERENCE, STEPS_REFERENCE = 10.0, 80
SPEED = 0.2


def success(jerk: float, steps: int = 80) -> RolloutOutcome:
    """A success of constant jerk at everyone's speed: longer ones took a detour."""
    full, rest = divmod(steps, CHUNK)
    chunks = (CHUNK,) * full + ((rest,) if rest else ())
    return RolloutOutcome(
        True,
        jerk,
        np.full(steps, jerk),
        np.zeros(steps),
        np.full(steps, SPEED),
        chunks,
        Trajectory.at_rest(steps),
    )


def credit(rollouts, reward='decoupled', **settings):
    """The credit of a group under the default settings, or others where named."""
    config = RewardSettings(reward=reward, **settings)
    group = GroupOutcome(
        tuple(rollouts), TaskReference(JERK_REFERENCE, 2 * JERK_REFERENCE, STEPS_REFERENCE, 8)
    )
    return reward_function(reward)(group, config)


@pytest.mark.parametrize(('steps', 'gains'), [(80, True), (95, True), (97, False), (150, False)])
def test_a_success_gains_up_to_a_fifth_more_than_the_mean_duration(steps, gains):
    """`slow_limit` is 1.2: a smooth detour of 95 of 80 steps is paid, one of 97 is not."""
    result = credit([success(9.0), success(11.0), success(5.0, steps)])
    assert bool(result.advantages[2].max() > 0.0) is gains
    natural = credit([success(9.0), success(11.0)])
    unmoved = np.allclose(result.advantages[0], natural.advantages[0])
    assert unmoved is not gains


@pytest.mark.parametrize('reward', ['smooth', 'decoupled'])
@pytest.mark.parametrize(('half', 'informative'), [(0.49, False), (0.51, True)])
def test_a_group_teaches_from_a_twentieth_of_the_reference_on(reward, half, informative):
    """J_ref is 10 and the floor 0.05 of it: a spread of 0.49 is noise, one of 0.51 is not."""
    rollouts = [success(10.0 - half), success(10.0 + half)]
    assert credit(rollouts, reward=reward).informative is informative


@pytest.mark.parametrize(('half', 'informative'), [(0.9, False), (1.1, True)])
def test_how_it_turns_teaches_from_a_twentieth_of_the_angular_reference_on(half, informative):
    """The angular reference is 20, so its floor is 1: twice that of the tool's point."""
    turning = [
        dataclasses.replace(success(10.0), step_angular_jerk=np.full(80, 20.0 + way * half))
        for way in (-1, 1)
    ]
    assert credit(turning).informative is informative


def test_a_success_too_short_for_a_jerk_is_taken_to_have_the_successes_mean():
    """J = 6 and 8: it earns 1 - 0.2 * 7 / 10, whatever the failures and the reference had."""
    nothing = np.full(4, np.nan)
    short = dataclasses.replace(success(np.nan, 4), step_jerk=nothing, step_angular_jerk=nothing)
    failure = dataclasses.replace(success(50.0), success=False)
    result = credit([success(6.0), success(8.0), failure, short], reward='smooth')
    assert result.rewards[-1] == pytest.approx(0.86)


def test_a_spread_below_the_floor_is_measured_by_the_floor():
    """J = 9.8 and 10.2 spread by 0.2: two fifths of the floor of 0.5, times the weight."""
    result = credit([success(9.8), success(10.2)], smoothness_weight=0.5)
    np.testing.assert_allclose(result.advantages[0], 0.2, rtol=1e-9)
    np.testing.assert_allclose(result.advantages[1], -0.2, rtol=1e-9)
