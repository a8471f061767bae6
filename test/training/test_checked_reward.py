"""A reward of one's own that is wrong costs one line with its name, before the first rollout."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
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
