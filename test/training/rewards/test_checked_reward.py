"""A reward of one's own that is wrong costs one line with its name, before the first rollout."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.checked import group_credit, try_reward
from smoothvla_ros.training.rewards.functions import REWARDS, RewardSettings, reward_function
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

_names = (f'own_reward_{number}' for number in itertools.count())


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a maker of settings with a reward of that source, under a module name of its own."""

    def make(body: str) -> RewardSettings:
        name = next(_names)
        (tmp_path / f'{name}.py').write_text(
            'import dataclasses\nimport numpy as np\n'
            'from smoothvla_ros.training.rewards import credit_from_rewards\n\n'
            f'seen = []\n\n\ndef reward(group, settings):\n    {body}\n'
        )
        monkeypatch.syspath_prepend(tmp_path)
        return RewardSettings(reward=f'{name}:reward')

    return make


def group() -> GroupOutcome:
    """Two successes of three and four steps."""
    rollouts = [
        RolloutOutcome(True, 1.0, *[np.ones(steps)] * 3, (steps,), Trajectory.at_rest(steps))
        for steps in (3, 4)
    ]
    return GroupOutcome(tuple(rollouts), TaskReference(1.0, 1.0, 4.0, 8))


RIGHT = 'credit = credit_from_rewards(group, group.success / group.steps); '


@pytest.mark.filterwarnings('ignore:invalid value:RuntimeWarning')
@pytest.mark.parametrize(
    ('body', 'named'),
    [
        ('return group.success / group.steps', 'returned ndarray; return a GroupCredit'),
        ('pass', 'returned NoneType; return a GroupCredit'),
        ('return credit_from_rewards(group, group.success[1:])', 'rewards have shape'),
        ('return credit_from_rewards(group, group.steps * np.nan)', 'rewards: number 0 is nan'),
        (
            "return credit_from_rewards(group, np.where(group.steps > 3, float('inf'), 1.0))",
            'rewards: number .* is inf',
        ),
        (
            RIGHT + 'return dataclasses.replace(credit, advantages=credit.rewards)',
            r'advantages of rollout 0 have shape \[\]; give \[',
        ),
        (
            RIGHT + 'return dataclasses.replace(credit, advantages=credit.advantages[1:])',
            'advantages are not . arrays',
        ),
        (
            RIGHT + 'return dataclasses.replace(credit, gripper_advantages='
            'tuple(np.full(n, np.nan) for n in group.steps))',
            'gripper_advantages of rollout 0: number 0 is nan',
        ),
        (
            RIGHT + "return dataclasses.replace(credit, rewards=['good'] * len(group.rollouts))",
            'rewards are no numbers',
        ),
        (
            RIGHT + 'return dataclasses.replace(credit, informative=group.success)',
            'informative=.*give True or False',
        ),
    ],
)
def test_what_a_reward_may_not_return_is_named(own, body, named):
    """At the start on a made-up group, and on a real one, should that be the first to show it."""
    settings = own(body)
    for judge in (lambda: try_reward(settings), lambda: group_credit(group(), settings)):
        with pytest.raises(UserError, match=f"^reward='{settings.reward}'.*{named}"):
            judge()


def test_a_reward_that_is_right_is_returned_as_it_is(own):
    """The trial says nothing, and the credit is the reward's own."""
    settings = own(RIGHT + 'return credit')
    try_reward(settings)
    credit = group_credit(group(), settings)
    np.testing.assert_array_equal(credit.rewards, [1 / 3, 1 / 4])


def test_a_reward_of_the_actions_is_tried_and_given_them(own):
    """What the policy commanded is there for each step, in the trial too."""
    code = 'return credit_from_rewards(group, np.array([{} for r in group.rollouts]))'
    settings = own(code.format('np.abs(np.diff(r.trajectory.actions[:, 6])).sum()'))
    try_reward(settings)
    rollouts = list(group().rollouts)
    closes_once = np.zeros((4, 7))
    closes_once[2:, 6] = 1.0
    moved = dataclasses.replace(rollouts[1].trajectory, actions=closes_once)
    rollouts[1] = dataclasses.replace(rollouts[1], trajectory=moved)
    credit = group_credit(dataclasses.replace(group(), rollouts=tuple(rollouts)), settings)
    np.testing.assert_array_equal(credit.rewards, [0.0, 1.0])


SAID = "^reward='{}' on a made-up group"


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize(
    'of_a_rollout',
    [
        '1.0 / np.linalg.norm(np.diff(r.trajectory.tool_positions, axis=0), axis=1).sum()',
        '1.0 / np.abs(r.trajectory.actions).sum(axis=0).min()',
        '1.0 / np.abs(np.diff(r.trajectory.actions[:, :6], axis=0)).sum(axis=0).min()',
        '1.0 / np.abs(r.trajectory.joint_velocities).max(axis=0).min()',
        '1.0 / np.ptp(r.trajectory.joint_positions, axis=0).min()',
        '1.0 / np.ptp(r.trajectory.substep_joint_positions, axis=0).min()',
        '1.0 / (3.0 - np.einsum("tii->t", r.trajectory.tool_rotations)).max()',
        '1.0 / r.step_speed.min()',
        '1.0 / r.mean_jerk',
        '1.0 / r.mean_angular_jerk',
    ],
)
def test_a_reward_that_divides_by_the_motion_passes_the_trial(own, of_a_rollout):
    """The made-up arm moves, no two rollouts alike: neither they nor their spread divide by 0."""
    body = f'values = np.array([{of_a_rollout} for r in group.rollouts]); '
    try_reward(own(body + 'return credit_from_rewards(group, values / values.std())'))


def test_the_made_up_motion_agrees_with_itself(own):
    """Joints, tool path, speed, actions and the simulator's own steps are those of one motion."""
    settings = own('type(settings).shown = group; ' + RIGHT + 'return credit')
    try_reward(settings)
    arm = Arm.panda()
    for rollout in type(settings).shown.rollouts:
        motion = rollout.trajectory
        period_s, steps = motion.control_period_s, rollout.steps
        assert motion.steps == steps == sum(rollout.chunk_steps) == len(rollout.step_speed)
        poses = [arm.tool_pose(joints) for joints in motion.joint_positions]
        np.testing.assert_allclose(motion.tool_positions, [pose[0] for pose in poses])
        np.testing.assert_allclose(motion.tool_rotations, [pose[1] for pose in poses])
        moved = np.diff(motion.tool_positions, axis=0)
        np.testing.assert_allclose(rollout.step_speed, np.linalg.norm(moved, axis=1) / period_s)
        np.testing.assert_allclose(motion.actions[:, :3], moved / 0.05)
        assert np.abs(motion.actions).max() <= 1.0
        mean_rate = (motion.joint_velocities[1:] + motion.joint_velocities[:-1]) / 2.0
        changes = np.diff(motion.joint_positions, axis=0) / period_s
        np.testing.assert_allclose(mean_rate, changes, atol=0.01 * np.abs(changes).max())
        every = round(period_s / motion.substep_period_s)
        np.testing.assert_allclose(
            motion.substep_joint_positions[::every], motion.joint_positions, atol=1e-6
        )


def test_the_trial_is_named_where_it_was_one(own):
    """Whoever never saw such a group must not look for it among the rollouts."""
    settings = own('return credit_from_rewards(group, group.steps * np.nan)')
    with pytest.raises(UserError, match=SAID.format(settings.reward) + '.*number 0 is nan'):
        try_reward(settings)
    with pytest.raises(UserError) as error:
        group_credit(group(), settings)
    assert 'made-up' not in str(error.value)


@pytest.mark.parametrize(
    'array',
    [
        'trajectory.actions',
        'trajectory.joint_positions',
        'trajectory.joint_velocities',
        'trajectory.tool_positions',
        'trajectory.tool_rotations',
        'trajectory.substep_joint_positions',
        'step_jerk',
        'step_angular_jerk',
        'step_speed',
    ],
)
def test_a_reward_cannot_write_into_what_is_archived(own, array):
    """The motion is kept after it was judged: numpy refuses at the line that would change it."""
    settings = own(f'group.rollouts[0].{array}[:] *= 2.0; ' + RIGHT + 'return credit')
    with pytest.raises(UserError, match=r'read-only .*own_reward_\d+\.py:9'):
        try_reward(settings)
    judged = group()
    with pytest.raises(UserError, match='read-only'):
        group_credit(judged, settings)
    own_array = judged.rollouts[0]
    for name in array.split('.'):
        own_array = getattr(own_array, name)
    assert own_array.flags.writeable, 'the caller keeps what is its own'


@pytest.mark.parametrize(
    ('body', 'said'),
    [
        ('return group.succes', "AttributeError: 'GroupOutcome' object has no attribute 'succes'"),
        ('return group.rollouts[99]', 'IndexError: tuple index out of range'),
        ('return group.success + "a"', 'UFuncTypeError: '),
        ('return np.zeros(3) + np.zeros(4)', 'ValueError: operands could not be broadcast'),
        ('raise RuntimeError("two\\nlines")', 'RuntimeError: two lines'),
        ('raise KeyError', 'KeyError '),
        ('return np.linalg.inv(np.zeros((2, 2)))', 'LinAlgError: Singular matrix'),
    ],
)
def test_what_a_reward_raises_is_one_line_with_its_place(own, body, said):
    """Type, message, file and line of the user's own code, whoever raised it below."""
    settings = own(body)
    for judge in (lambda: try_reward(settings), lambda: group_credit(group(), settings)):
        with pytest.raises(UserError) as error:
            judge()
        text = str(error.value)
        assert text.startswith(f"reward='{settings.reward}'")
        assert f'raised {said}' in text
        assert f'{settings.reward.partition(":")[0]}.py:9' in text
        assert '\n' not in text
        assert not isinstance(error.value.__cause__, UserError)


def test_a_reward_that_keeps_state_does_not_remember_the_trial(own):
    """Its module is loaded a second time for that."""
    settings = own('seen.append(group); ' + RIGHT + 'return credit')
    try_reward(settings)
    function = reward_function(settings.reward)
    assert function.__globals__['seen'] == []
    group_credit(group(), settings)
    assert len(function.__globals__['seen']) == 1


@pytest.mark.parametrize('name', list(REWARDS))
def test_the_rewards_that_are_built_in_pass(name):
    """On a group of two, and none needs a trial."""
    settings = RewardSettings(reward=name)
    try_reward(settings)
    assert len(group_credit(group(), settings).advantages) == 2
