"""The three rewards, and every way to earn one that is not a smooth success."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.equal_pace import equal_pace_jerk
from smoothvla_ros.training.rewards.functions import CREDIT, RewardSettings, reward_function
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference
from smoothvla_ros.training.rewards.phases import Profile

CHUNK = 8
SPACE = 'libero_osc_pose'
JERK_REFERENCE = 10.0
STEPS_REFERENCE = 100


PATH_M = 0.8
PERIOD_S = 0.05


def rollout(
    success: bool,
    jerk: float,
    steps: int = 80,
    profile: np.ndarray | None = None,
    speed: np.ndarray | None = None,
    angular: np.ndarray | None = None,
):
    """One rollout of constant jerk, or of a profile scaled to that mean, along a path of 0.8 m.

    Its angular jerk is twice the number of the other unless given.
    """
    shape = np.ones(steps) if profile is None else np.resize(profile, steps)
    step_jerk = jerk * shape / max(shape.mean(), 1e-12)
    full, rest = divmod(steps, CHUNK)
    pace = np.ones(steps) if speed is None else np.resize(speed, steps)
    step_speed = PATH_M / (PERIOD_S * steps) * pace / pace.mean()
    chunk_steps = (CHUNK,) * full + ((rest,) if rest else ())
    turning = 2.0 * step_jerk if angular is None else np.resize(angular, steps)
    still = Trajectory.at_rest(steps)
    return RolloutOutcome(success, jerk, step_jerk, turning, step_speed, chunk_steps, still)


def credit(rollouts, **settings):
    """The credit of a group under the named settings."""
    config = RewardSettings(**settings)
    reference = TaskReference(JERK_REFERENCE, 2 * JERK_REFERENCE, STEPS_REFERENCE, 8)
    return reward_function(config.reward)(GroupOutcome(tuple(rollouts), reference), config)


def first_steps(group_credit) -> np.ndarray:
    """The advantage of each rollout's first step [G]."""
    return np.array([advantages[0] for advantages in group_credit.advantages])


def mean_advantages(group_credit) -> np.ndarray:
    """The mean advantage of each rollout's steps [G]."""
    return np.array([advantages.mean() for advantages in group_credit.advantages])


def test_binary_ignores_jerk():
    """Two successes of different jerk get the same advantage."""
    result = credit([rollout(True, 1.0), rollout(True, 30.0), rollout(False, 1.0)], reward='binary')
    np.testing.assert_array_equal(result.rewards, [1.0, 1.0, 0.0])
    assert first_steps(result)[0] == first_steps(result)[1]


def test_smooth_is_eq_5_in_units_of_the_reference():
    """R = I (1 - lambda J / J_ref), 0 for a failure, negative where jerk is extreme: no clip."""
    result = credit(
        [rollout(True, 10.0), rollout(True, 60.0), rollout(False, 1.0)],
        reward='smooth',
        jerk_penalty=0.2,
    )
    np.testing.assert_allclose(result.rewards, [0.8, -0.2, 0.0], atol=1e-12)


def test_standardisation_erases_lambda_where_all_succeed():
    """paper.md, point 3: in mode `smooth` a hundredfold lambda gives the same advantages."""
    rollouts = [rollout(True, jerk) for jerk in (4.0, 9.0, 12.0, 20.0)]
    weak = credit(rollouts, reward='smooth', jerk_penalty=0.01)
    strong = credit(rollouts, reward='smooth', jerk_penalty=1.0)
    np.testing.assert_allclose(first_steps(weak), first_steps(strong), rtol=1e-9)


@pytest.mark.parametrize('credited', CREDIT)
def test_decoupled_scales_with_w_where_all_succeed(credited):
    """paper.md, point 3: our smoothness part is proportional to w and nothing divides it out."""
    profile = np.linspace(0.5, 1.5, 11)
    rollouts = [rollout(True, jerk, profile=profile) for jerk in (4.0, 9.0, 12.0, 20.0)]
    small = credit(rollouts, smoothness_weight=0.1, smoothness_credit=credited)
    large = credit(rollouts, smoothness_weight=0.4, smoothness_credit=credited)
    for one, other in zip(small.advantages, large.advantages, strict=True):
        assert np.abs(one).max() > 0.0
        np.testing.assert_allclose(4.0 * one, other, rtol=1e-9)


def test_decoupled_of_a_mixed_group_by_hand():
    """Two successes (J = 8, 12) and two failures: +-1 of success, +-w of smoothness."""
    rollouts = [rollout(True, 8.0), rollout(True, 12.0), rollout(False, 1.0), rollout(False, 50.0)]
    result = credit(rollouts, smoothness_weight=0.3)
    np.testing.assert_allclose(first_steps(result), [1.3, 0.7, -1.0, -1.0], atol=1e-12)


def test_the_gripper_earns_success_and_no_smoothness():
    """When to open is no matter of jerk: its tokens get the group-normalised success alone."""
    rollouts = [rollout(True, 8.0), rollout(True, 12.0), rollout(False, 1.0), rollout(False, 50.0)]
    parts = credit(rollouts).by_part(SPACE)
    np.testing.assert_allclose([part[0, 2] for part in parts], [1.0, 1.0, -1.0, -1.0])
    assert parts[0][0, 0] > parts[1][0, 0]
    standard = credit(rollouts, reward='binary').by_part(SPACE)
    np.testing.assert_array_equal(standard[0][:, 0], standard[0][:, 1])
    np.testing.assert_array_equal(standard[0][:, 0], standard[0][:, 2])


def test_translation_and_rotation_earn_the_jerk_that_they_make():
    """One rollout moves smoothly and turns roughly, the other the other way round."""
    turns_roughly = rollout(True, 8.0, angular=np.full(80, 6.0))
    moves_roughly = rollout(True, 12.0, angular=np.full(80, 2.0))
    parts = credit([turns_roughly, moves_roughly], smoothness_weight=0.3).by_part(SPACE)
    np.testing.assert_allclose(parts[0], np.tile([0.3, -0.3, 0.0], (80, 1)), atol=1e-12)
    np.testing.assert_allclose(parts[1], np.tile([-0.3, 0.3, 0.0], (80, 1)), atol=1e-12)


def test_where_actions_are_no_tool_poses_every_joint_earns_the_jerk_of_the_tool():
    """Nobody knows which joint turns it: all but the gripper's tokens get the one score."""
    rollouts = [rollout(True, jerk, angular=np.full(80, 6.0 - jerk / 4)) for jerk in (8.0, 12.0)]
    poses, joints = (credit(rollouts).by_part(space) for space in (SPACE, 'joint_positions'))
    assert (poses[0][:, 0] > 0.0).all()
    assert (poses[0][:, 1] < 0.0).all()
    np.testing.assert_array_equal(joints[0][:, 1], joints[0][:, 0])
    np.testing.assert_array_equal(joints[0][:, 2], poses[0][:, 2])


def test_a_long_failure_does_not_hide_how_successes_turn():
    """The unit of angular jerk is the starting policy's, whatever the group's failures do."""
    turning = [rollout(True, 10.0, angular=np.full(80, rate)) for rate in (19.0, 21.0)]
    fails = rollout(False, 10.0, steps=520, angular=np.full(520, 80.0))
    scored = [credit([*turning, *more], smoothness_weight=0.3) for more in ([], [fails, fails])]
    gaps = [found.rotation_advantages[0][0] - found.rotation_advantages[1][0] for found in scored]
    assert gaps[0] == pytest.approx(gaps[1])
    assert gaps[0] == pytest.approx(0.6)


def test_a_group_that_differs_in_how_it_turns_teaches_something():
    """Equal in translation: kept for the rotation's sake, and not for less than the floor."""
    for rates, informative in (((15.0, 25.0), True), ((20.0, 20.5), False)):
        rollouts = [rollout(True, 10.0, angular=np.full(80, rate)) for rate in rates]
        assert credit(rollouts).informative is informative


def test_a_tool_that_never_turns_teaches_rotation_nothing():
    """No angular jerk anywhere: no score, and no division by zero."""
    rollouts = [rollout(True, jerk, angular=np.zeros(80)) for jerk in (8.0, 12.0)]
    parts = credit(rollouts).by_part(SPACE)
    assert not parts[0][:, 1].any()
    assert parts[0][:, 0].all()


group_strategy = st.lists(
    st.tuples(st.booleans(), st.floats(0.0, 1e3), st.integers(1, 220)), min_size=2, max_size=16
)


@given(group=group_strategy, credited=st.sampled_from(CREDIT), weight=st.floats(0.0, 0.999))
def test_no_success_ranks_below_a_failure_of_its_group(group, credited, weight):
    """The property that lets `decoupled` never trade success for smoothness, at any credit."""
    rollouts = [
        rollout(
            success,
            jerk,
            steps,
            profile=np.array([0.1, 3.0, 0.5, 1.0, 2.0]),
            angular=np.array([9.0, 1.0, 40.0]),
        )
        for success, jerk, steps in group
    ]
    result = credit(
        rollouts, smoothness_weight=weight, smoothness_clip=2.0, smoothness_credit=credited
    ).by_part(SPACE)
    succeeded = [a.min() for a, r in zip(result, rollouts, strict=True) if r.success]
    failed = [a.max() for a, r in zip(result, rollouts, strict=True) if not r.success]
    if succeeded and failed:
        assert min(succeeded) > max(failed)


@pytest.mark.parametrize('name', ['binary', 'smooth', 'decoupled'])
def test_standing_still_gains_nothing(name):
    """A rollout without jerk that does not succeed ranks with the worst failure."""
    rollouts = [rollout(True, 9.0), rollout(False, 20.0), rollout(False, 0.0, steps=220)]
    advantages = first_steps(credit(rollouts, reward=name))
    assert advantages[2] == advantages.min()
    all_failed = [rollout(False, 9.0), rollout(False, 0.0), rollout(False, 20.0)]
    assert not first_steps(credit(all_failed, reward=name)).any()


@pytest.mark.parametrize('credited', CREDIT)
def test_a_slow_success_gains_nothing(credited):
    """Half the speed has an eighth of the jerk; `decoupled` pays nothing for it."""
    natural = [rollout(True, jerk, steps=100) for jerk in (9.0, 11.0)]
    slow = rollout(True, 10.0 / 8.0, steps=200)
    result = credit([*natural, slow], smoothness_credit=credited)
    assert not result.advantages[2].any()
    without = credit(natural, smoothness_credit=credited)
    np.testing.assert_allclose(result.advantages[0], without.advantages[0])


@pytest.mark.parametrize('credited', CREDIT)
def test_a_slower_success_within_the_limit_gains_nothing(credited):
    """One path at eight speeds, J as v^2.5: 40 % of jerk apart, and not a tenth of advantage."""
    steps = (80, 83, 85, 87, 90, 92, 95, 98)
    profile, pace = np.linspace(0.5, 1.5, 80), np.linspace(0.7, 1.3, 80)
    rollouts = [
        rollout(
            True,
            10.0 * (80 / n) ** 2.5,
            n,
            np.interp(np.linspace(0, 79, n), range(80), profile),
            np.interp(np.linspace(0, 79, n), range(80), pace),
        )
        for n in steps
    ]
    neutral = mean_advantages(credit(rollouts, smoothness_credit=credited))
    paid = mean_advantages(credit(rollouts, smoothness_credit=credited, pace_exponent=0.0))
    assert paid[-1] - paid[0] > 1.0
    assert abs(neutral[-1] - neutral[0]) < 0.1


@given(steps=st.lists(st.integers(10, 200), min_size=2, max_size=8), at=st.floats(0.5, 20.0))
def test_one_path_at_any_pace_has_one_jerk(steps, at):
    """J as T^-b, at whatever pace: after the correction nothing but rounding is left to score."""
    profiles = [Profile(np.full(n, at * (100.0 / n) ** 2.5), (1,) * n) for n in steps]
    equal = equal_pace_jerk(profiles, np.ones(len(steps), dtype=bool), 2.5)
    for profile in equal:
        np.testing.assert_allclose(profile.values, equal[0].values[0], rtol=1e-9)


def test_only_compared_rollouts_set_the_pace():
    """A failure that ran to the horizon does not make every success look quick."""
    profiles = [Profile(np.ones(n), (1,) * n) for n in (100, 100, 220)]
    equal = equal_pace_jerk(profiles, np.array([True, True, False]), 2.0)
    np.testing.assert_allclose([p.values[0] for p in equal], [1.0, 1.0, 2.2**2])


def test_a_success_that_idles_on_its_way_gains_nothing():
    """Pauses dilute the mean jerk; the steps they cost and their stillness give them away."""
    natural = [rollout(True, jerk, steps=100) for jerk in (9.0, 11.0)]
    pauses = np.r_[np.ones(8), np.zeros(8)]
    idling = rollout(True, 5.0, steps=200, profile=pauses, speed=pauses)
    for credited in CREDIT:
        result = credit([*natural, idling], smoothness_credit=credited)
        assert mean_advantages(result)[2] <= 0.0


@pytest.mark.parametrize('credited', ['chunk', 'step'])
def test_a_chunk_that_rests_is_not_paid_for_it(credited):
    """One idle chunk, well within `slow_limit`: it has no jerk, and its own tokens earn nothing."""
    natural = [rollout(True, jerk, steps=88) for jerk in (9.0, 10.0, 11.0)]
    pause = np.ones(96)
    pause[40:48] = 0.0
    idling = rollout(True, 10.0, steps=96, profile=pause, speed=pause)
    result = credit([*natural, idling], smoothness_credit=credited)
    assert result.advantages[3][40:48].max() <= 0.0
    # As little jerk, but on the move: that is what the score is for.
    moving = rollout(True, 10.0, steps=96, profile=pause)
    result = credit([*natural, moving], smoothness_credit=credited)
    assert result.advantages[3][40:48].min() > 0.5


def test_a_task_without_a_reference_of_its_own_has_no_slow_limit():
    """The mean of other, shorter tasks says nothing of how long this one takes."""
    group = tuple(rollout(True, jerk, steps=200) for jerk in (9.0, 11.0))
    gains = []
    for episodes in (8, 0):
        reference = TaskReference(JERK_REFERENCE, 2 * JERK_REFERENCE, STEPS_REFERENCE, episodes)
        result = reward_function('decoupled')(GroupOutcome(group, reference), RewardSettings())
        gains.append(mean_advantages(result)[0])
    assert gains[0] <= 0.0 < gains[1]


def test_a_slow_and_jerky_success_still_loses():
    """Being slow is no shelter from the jerk score."""
    rollouts = [rollout(True, 9.0), rollout(True, 11.0), rollout(True, 30.0, steps=200)]
    assert mean_advantages(credit(rollouts))[2] < 0.0


def test_the_papers_reward_pays_for_slowness():
    """Why eq. 5 alone is not enough: kept faithful, it prefers the slow rollout."""
    rollouts = [rollout(True, 10.0, steps=100), rollout(True, 1.25, steps=200)]
    assert mean_advantages(credit(rollouts, reward='smooth')).argmax() == 1


def test_chunk_credit_blames_the_jerky_chunk():
    """Two rollouts of equal mean jerk, one jerky early, the other late."""
    early = rollout(True, 10.0, steps=16, profile=np.r_[np.full(8, 3.0), np.ones(8)])
    late = rollout(True, 10.0, steps=16, profile=np.r_[np.ones(8), np.full(8, 3.0)])
    result = credit([early, late], smoothness_credit='chunk', smoothness_weight=0.3)
    np.testing.assert_allclose(result.advantages[0], [-0.3] * 8 + [0.3] * 8)
    assert result.informative
    whole = credit([early, late], smoothness_credit='episode')
    assert not first_steps(whole).any()
    assert not whole.informative


def test_step_credit_blames_the_jerky_step():
    """Two rollouts of equal mean jerk, each with one rough step: that step alone is scored down."""
    spike = np.ones(16)
    spike[3] = 5.0
    early = rollout(True, 10.0, steps=16, profile=spike)
    late = rollout(True, 10.0, steps=16, profile=np.roll(spike, 8))
    result = credit([early, late], smoothness_credit='step', smoothness_weight=0.3)
    assert np.flatnonzero(result.advantages[0] < 0.0).tolist() == [3]
    assert np.flatnonzero(result.advantages[0] > 0.0).tolist() == [11]
    np.testing.assert_allclose(result.advantages[1], -result.advantages[0])
    assert result.informative


@pytest.mark.parametrize(
    ('name', 'jerk', 'success', 'informative'),
    [
        ('binary', (5.0, 15.0), (True, True), False),
        ('binary', (5.0, 15.0), (True, False), True),
        ('smooth', (5.0, 15.0), (True, True), True),
        ('smooth', (10.0, 10.1), (True, True), False),
        ('decoupled', (5.0, 15.0), (True, True), True),
        ('decoupled', (10.0, 10.1), (True, True), False),
        ('decoupled', (10.0, 10.1), (True, False), True),
        ('decoupled', (5.0, 15.0), (False, False), False),
    ],
)
def test_which_groups_teach_something(name, jerk, success, informative):
    """An all-success group is kept where its jerk spreads more than the floor (0.05 J_ref)."""
    rollouts = [rollout(s, j) for s, j in zip(success, jerk, strict=True)]
    assert credit(rollouts, reward=name).informative is informative


@pytest.mark.parametrize(
    ('settings', 'named'),
    [
        ({'reward': 'smoooth'}, 'decoupled'),
        ({'reward': 'no_such_module:short'}, 'no_such_module'),
        ({'reward': 'json:no_such_reward'}, 'no_such_reward'),
        ({'smoothness_weight': 1.0, 'smoothness_clip': 2.0}, 'below 2'),
        ({'jerk_penalty': -0.1}, 'jerk_penalty'),
        ({'smoothness_credit': 'token'}, 'chunk'),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, named):
    """The message names the value and what is allowed."""
    with pytest.raises(UserError, match=named) as error:
        RewardSettings(**settings)
    assert '\n' not in str(error.value)


def too_short(success: bool = True) -> RolloutOutcome:
    """Five steps, fewer than the estimator's window: no jerk."""
    nothing = np.full(5, np.nan)
    still = Trajectory.at_rest(5)
    return RolloutOutcome(success, np.nan, nothing, nothing, np.full(5, 0.2), (5,), still)


@pytest.mark.parametrize('credited', CREDIT)
@pytest.mark.parametrize('success', [True, False])
def test_a_rollout_without_jerk_is_neither_smooth_nor_a_yardstick(credited, success):
    """It earns its success alone, in every part, and the others what they earn without it."""
    others = [rollout(True, jerk) for jerk in (8.0, 10.0, 12.0)] + [rollout(False, 9.0)]
    alone = credit([*others, rollout(success, 0.0, 5)], smoothness_credit=credited)
    task = alone.gripper_advantages
    result = credit([*others, too_short(success)], smoothness_credit=credited)
    plain = credit(others, smoothness_credit=credited)
    for part in ('advantages', 'rotation_advantages', 'gripper_advantages'):
        np.testing.assert_array_equal(getattr(result, part)[4], task[4])
    for mine, same in zip(result.advantages[:3], plain.advantages[:3], strict=True):
        np.testing.assert_allclose(mine - task[0][0], same - plain.gripper_advantages[0][0])


def test_rollouts_without_jerk_teach_nothing_of_smoothness():
    """Two successes, one without a jerk: there is nothing to compare."""
    result = credit([rollout(True, 8.0), too_short()])
    assert not result.informative
    assert not np.concatenate(result.advantages).any()


def test_smooth_supposes_the_mean_jerk_of_the_successes_where_there_is_none():
    """J = 8, 12 and none, failures of 50 and none: eq. 5 with 10 for the third."""
    rollouts = [rollout(True, 8.0), rollout(True, 12.0), too_short(), rollout(False, 50.0)]
    result = credit([*rollouts, too_short(False)], reward='smooth', jerk_penalty=0.5)
    np.testing.assert_allclose(result.rewards, [0.6, 0.4, 0.5, 0.0, 0.0], atol=1e-12)
    alone = credit([too_short(), too_short(False)], reward='smooth', jerk_penalty=0.5)
    np.testing.assert_allclose(alone.rewards, [0.5, 0.0], atol=1e-12)
    few = credit([rollout(True, 10.0), too_short()], reward='smooth')
    assert not few.informative


@pytest.mark.parametrize('empty', [0, 5, 10])
def test_a_chunk_that_ran_no_step_changes_nothing(empty):
    """Decided and given up before its first step, first, between or last: no block, no score."""
    profile = np.linspace(0.5, 1.5, 80)
    others = [rollout(True, jerk, profile=profile) for jerk in (8.0, 12.0)]
    plain = rollout(True, 10.0, profile=profile)
    chunks = (*plain.chunk_steps[:empty], 0, *plain.chunk_steps[empty:])
    expected = credit([plain, *others], smoothness_credit='chunk')
    result = credit(
        [dataclasses.replace(plain, chunk_steps=chunks), *others], smoothness_credit='chunk'
    )
    for name in ('advantages', 'rotation_advantages', 'gripper_advantages'):
        for one, other in zip(getattr(result, name), getattr(expected, name), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_reward_of_ones_own_is_named_by_module_and_function(tmp_path, monkeypatch):
    """What docs/training.md promises: a file on the Python path is enough."""
    (tmp_path / 'my_rewards.py').write_text(
        'from smoothvla_ros.training.rewards import credit_from_rewards\n'
        'def short(group, settings):\n'
        '    return credit_from_rewards(group, group.success / group.steps)\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    config = RewardSettings(reward='my_rewards:short')
    reference = TaskReference(JERK_REFERENCE, 2 * JERK_REFERENCE, STEPS_REFERENCE, 8)
    group = GroupOutcome((rollout(True, 9.0, 80), rollout(True, 9.0, 40)), reference)
    advantages = first_steps(reward_function(config.reward)(group, config))
    np.testing.assert_allclose(advantages, [-1.0, 1.0])
