"""A reward held to what it has to return, one of the user's own above all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.rewards.functions import (
    REWARDS,
    GroupCredit,
    RewardFunction,
    RewardSettings,
    reward_function,
)
from smoothvla_ros.training.rewards.made_up import made_up_group
from smoothvla_ros.training.rewards.outcomes import GroupOutcome
from smoothvla_ros.user_function import fresh_copy, own_code

Record = TypeVar('Record')

_ADVANTAGES = ('advantages', 'rotation_advantages', 'gripper_advantages')


def group_credit(group: GroupOutcome, settings: RewardSettings) -> GroupCredit:
    """Return what the reward of the settings gives to a group.

    The reward is shown arrays that it cannot write into: the motion is archived afterwards.
    Raises UserError with the reward's name if that is no `GroupCredit`, has not a number for each
    rollout and each of its steps, or one that is not finite: a group would teach nothing, unsaid.
    So does whatever the reward raises, with file and line.
    """
    place = f'reward={settings.reward!r}'
    return _checked(reward_function(settings.reward), group, settings, place)


def try_reward(settings: RewardSettings) -> None:
    """Give a reward of the user's own a made-up group, before hours of rollouts hang on it.

    Raises UserError as `group_credit` does.
    """
    if settings.reward not in REWARDS:
        place = f'reward={settings.reward!r} on a made-up group'
        _checked(fresh_copy(settings.reward, 'reward'), made_up_group(), settings, place)


def _checked(
    function: RewardFunction, group: GroupOutcome, settings: RewardSettings, place: str
) -> GroupCredit:
    with own_code(f'{place} raised'):
        try:
            credit = function(_read_only(group), settings)
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


def _read_only(record: Record) -> Record:
    """Return a dataclass with the same arrays, of it and of those within it, as read-only views."""
    fields = dataclasses.fields(record)  # type: ignore[arg-type]
    shown = {field.name: _shown(getattr(record, field.name)) for field in fields}
    return dataclasses.replace(record, **shown)  # type: ignore[type-var]


def _shown(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, tuple):
        return tuple(map(_shown, value))
    return _read_only(value) if dataclasses.is_dataclass(value) else value


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
