"""A reward held to what it has to return, one of the user's own above all."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.functions import (
    REWARDS,
    GroupCredit,
    RewardFunction,
    RewardSettings,
    reward_function,
)
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

_ADVANTAGES = ('advantages', 'rotation_advantages', 'gripper_advantages')


def group_credit(group: GroupOutcome, settings: RewardSettings) -> GroupCredit:
    """Return what the reward of the settings gives to a group.

    Raises UserError with the reward's name if that is no `GroupCredit`, has not a number for each
    rollout and each of its steps, or one that is not finite: a group would teach nothing, unsaid.
    """
    return _checked(reward_function(settings.reward), group, settings)


def try_reward(settings: RewardSettings) -> None:
    """Give a reward of the user's own a made-up group, before hours of rollouts hang on it.

    Raises UserError as `group_credit` does, and whatever the reward raises.
    """
    if settings.reward not in REWARDS:
        _checked(_copy_of(settings.reward), _made_up_group(), settings)


def _checked(
    function: RewardFunction, group: GroupOutcome, settings: RewardSettings
) -> GroupCredit:
    place = f'reward={settings.reward!r}'
    try:
        credit = function(group, settings)
    except UserError as error:
        raise UserError(f'{place}: {error}') from error
    if not isinstance(credit, GroupCredit):
        raise UserError(
            f'{place} returned {type(credit).__name__}; return a GroupCredit, as '
            'credit_from_rewards makes one'
        )
    if not isinstance(credit.informative, bool | np.bool_):
        raise UserError(f'{place}: informative={credit.informative!r}; give True or False')
    _check_numbers(credit.rewards, len(group.rollouts), f'{place}: rewards')
    for name in _ADVANTAGES:
        advantages = getattr(credit, name)
        if advantages is not None:
            _check_advantages(advantages, group, f'{place}: {name}')
    return credit


def _check_advantages(advantages: Any, group: GroupOutcome, place: str) -> None:
    count = len(group.rollouts)
    if not isinstance(advantages, Sequence | np.ndarray) or len(advantages) != count:
        raise UserError(f'{place} are not {count} arrays, one for each rollout of the group')
    for index, (values, steps) in enumerate(zip(advantages, group.steps, strict=True)):
        _check_numbers(values, int(steps), f'{place} of rollout {index}')


def _check_numbers(values: Any, count: int, place: str) -> None:
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UserError(f'{place} are no numbers: {error}') from error
    if numbers.shape != (count,):
        raise UserError(f'{place} have shape {list(numbers.shape)}; give [{count}]')
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise UserError(f'{place}: number {bad[0]} is {numbers[bad[0]]}; give finite ones')


def _copy_of(name: str) -> RewardFunction:
    """Return the function out of a second copy of its module.

    What a reward remembers lies in its module as a rule: the one that will be trained with must
    not remember rollouts that were made up.
    """
    module_name, _, function_name = name.partition(':')
    spec = importlib.util.find_spec(module_name)
    assert spec is not None  # the settings have imported it
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(RewardFunction, getattr(module, function_name))


def _made_up_group() -> GroupOutcome:
    """Return successes and failures of different lengths, as a task of LIBERO has them."""
    rollouts = tuple(_made_up_rollout(steps) for steps in (83, 90, 101, 219))
    reference = TaskReference(jerk=1.5, angular_jerk=6.0, steps=95.0, episodes=8)
    return GroupOutcome(rollouts, reference)


def _made_up_rollout(steps: int) -> RolloutOutcome:
    jerk = 1.0 + np.linspace(0.0, 1.0, steps)
    full, rest = divmod(steps, 8)
    return RolloutOutcome(
        success=steps < 200,
        mean_jerk=float(jerk.mean()),
        step_jerk=jerk,
        step_angular_jerk=4.0 * jerk,
        step_speed=np.full(steps, 0.1),
        chunk_steps=(8,) * full + (rest,),
        trajectory=Trajectory.at_rest(steps),
    )
