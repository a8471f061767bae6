"""Rewards by name: plain functions from a group's outcome to the credit of every control step.

A reward of your own is one function more, named as ``my_rewards:short``::

    def short(group, settings):
        return credit_from_rewards(group, group.success / group.steps)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_SPACE
from smoothvla_ros.records.reward_names import BINARY, DECOUPLED, SMOOTH
from smoothvla_ros.training.rewards.advantages import (
    UNIFORM,
    group_normalised,
    profile_scores,
    profile_spread,
)
from smoothvla_ros.training.rewards.equal_pace import equal_pace_jerk, stalled_blocks
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome
from smoothvla_ros.training.rewards.phases import Profile
from smoothvla_ros.user_function import user_function

CREDIT = ('episode', 'chunk', 'step')

TOOL_POSE_DELTAS = (ACTION_SPACE,)
"""Action spaces whose actions are translation, rotation and gripper, in this order."""

NEEDS_JERK = frozenset({SMOOTH, DECOUPLED})
"""Rewards that mean nothing without the starting policy's jerk. One's own may do without."""

_STILL = 1e-9  # rad/s^3, of a tool that never turns


@dataclass(frozen=True)
class RewardSettings:
    """What the rewards share."""

    reward: str = setting(
        DECOUPLED,
        "Reward: binary, smooth, decoupled, or 'module:function' of your own on the Python path",
    )
    jerk_penalty: float = setting(
        0.2, 'smooth: lambda of eq. 5, in units of the reference jerk', minimum=0.0
    )
    smoothness_weight: float = setting(
        0.9, 'decoupled: weight w of the smoothness score beside success', minimum=0.0
    )
    smoothness_clip: float = setting(
        2.0, 'decoupled: largest absolute smoothness score c', minimum=0.0
    )
    # An action changes the jerk of its own step most, and of none beyond three on either side; the
    # steps of a chunk that is decoded in parallel are drawn independently. A score for the whole
    # chunk is mostly the noise of its other steps (docs/training.md).
    smoothness_credit: str = setting(
        'step',
        'decoupled: what a smoothness score is given to, against the same phase of the group',
        choices=CREDIT,
    )
    jerk_spread_floor: float = setting(
        0.05, 'Spread of jerk that counts as noise, in units of the reference jerk', minimum=1e-6
    )
    # The third power in theory. Through the estimator's window of 0.3 s at 20 Hz, rollouts of the
    # shipped policy, resampled along their own paths, gave 1.9. Between the two, a rollout of a
    # real group that is slowed by 3 to 15 % gains nothing (test_real_group.py).
    pace_exponent: float = setting(
        2.5,
        'decoupled: how jerk is taken to fall with the duration of a rollout beside its group; '
        '0 pays for slowness',
        minimum=0.0,
        maximum=6.0,
    )
    slow_limit: float = setting(
        1.2,
        'decoupled: a success longer than this many mean durations of the starting policy gains '
        'nothing by being smooth',
        minimum=1.0,
    )

    def __post_init__(self) -> None:
        validate(self, 'reward')
        reward_function(self.reward)
        if self.smoothness_weight * self.smoothness_clip >= 2.0:
            raise UserError(
                f'reward: smoothness_weight={self.smoothness_weight} times '
                f'smoothness_clip={self.smoothness_clip} must stay below 2, or a jerky success '
                'ranks below a failure; lower one of them'
            )


@dataclass(frozen=True)
class GroupCredit:
    """What the learner needs of a group.

    rewards: [G], the scalar that each rollout earned.
    advantages: G arrays [T_i], one number a control step.
    informative: whether there is anything to learn from; other groups are sampled again.
    rotation_advantages, gripper_advantages: the same for the tokens that turn the tool and those
    that move its gripper; None where they earn what the others do.
    """

    rewards: np.ndarray
    advantages: tuple[np.ndarray, ...]
    informative: bool
    rotation_advantages: tuple[np.ndarray, ...] | None = field(default=None, kw_only=True)
    gripper_advantages: tuple[np.ndarray, ...] | None = field(default=None, kw_only=True)

    def by_part(self, action_space: str) -> list[np.ndarray]:
        """Return G arrays [T_i, 3]: of the tokens of translation, rotation and gripper.

        In an action space other than of tool-pose deltas nobody knows which tokens turn the tool:
        all but the gripper's then earn what those of translation do.
        """
        rotation, gripper = self.rotation_advantages, self.gripper_advantages
        if rotation is None or action_space not in TOOL_POSE_DELTAS:
            rotation = self.advantages
        if gripper is None:
            gripper = self.advantages
        parts = zip(self.advantages, rotation, gripper, strict=True)
        return [np.stack(columns, axis=1) for columns in parts]


RewardFunction = Callable[[GroupOutcome, RewardSettings], GroupCredit]
REWARDS: dict[str, RewardFunction] = {}


def reward(name: str) -> Callable[[RewardFunction], RewardFunction]:
    """Register a reward under a name that the setting `reward` then accepts."""

    def register(function: RewardFunction) -> RewardFunction:
        REWARDS[name] = function
        return function

    return register


def reward_function(name: str) -> RewardFunction:
    """Return a reward by its name, or one's own by ``module:function``.

    Raises UserError for a name that stands for nothing that can be called.
    """
    if name in REWARDS:
        return REWARDS[name]
    return user_function(name, 'reward: reward', REWARDS)


def credit_from_rewards(group: GroupOutcome, rewards: np.ndarray) -> GroupCredit:
    """Give every step of a rollout its group-normalised reward [G].

    Raises UserError for another number of rewards.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    if rewards.shape != (len(group.rollouts),):
        raise UserError(f'rewards have shape {list(rewards.shape)}; give [{len(group.rollouts)}]')
    advantages = group_normalised(rewards)
    return GroupCredit(
        rewards=rewards,
        advantages=tuple(np.full(n, a) for n, a in zip(group.steps, advantages, strict=True)),
        informative=bool(np.std(rewards) > UNIFORM),
    )


@reward(BINARY)
def binary(group: GroupOutcome, settings: RewardSettings) -> GroupCredit:
    """Reward success alone: what the field calls standard RL."""
    return credit_from_rewards(group, group.success.astype(np.float64))


@reward(SMOOTH)
def smooth(group: GroupOutcome, settings: RewardSettings) -> GroupCredit:
    """Reward eq. 5 of the paper, R = I_success * (1 - lambda * J / J_ref); never clipped.

    Kept faithful, with what it is open to: the standardisation that follows erases lambda where all
    succeed, a success can earn less than a failure, and slowness lowers jerk.
    A rollout too short to have a jerk is taken to have the mean of the group's successes.
    """
    penalty = settings.jerk_penalty * _supposed_jerk(group) / group.reference.jerk
    credit = credit_from_rewards(group, group.success * (1.0 - penalty))
    mixed = group.success.any() and not group.success.all()
    informative = mixed or (credit.informative and _jerk_spreads(group, settings))
    return GroupCredit(credit.rewards, credit.advantages, bool(informative))


@reward(DECOUPLED)
def decoupled(group: GroupOutcome, settings: RewardSettings) -> GroupCredit:
    """Reward success, and apart from it the smoothness of a success within its group.

    A = A_task + w * s * z: A_task the group-normalised success, s = 1 for a success, z the score of
    `profile_scores` over the successes, in units of the group's own spread. Nothing is divided
    by a batch's deviation afterwards: that would erase w.

    Slowness lowers jerk. So the jerk is first brought to the group's duration
    (`equal_pace_jerk`); a block that dawdles cannot gain; and a success slower than `slow_limit`
    allows is no yardstick for the others: its score can lower its advantage but not raise it. A
    task without a reference of its own has no such limit.
    Nor is one too short to have a jerk, whose own score is 0.

    Each part of an action earns the jerk that it makes: the tokens of translation that of the
    tool's point, those of rotation the angular one; what the other does is noise to them. The
    gripper's earn A_task alone: a jaw has no part in either, and would learn to open early and let
    the arm rest for the rest of the rollout.
    """
    success = group.success
    slow = _slow(group, settings)
    measured = group.measured
    compared = success & measured & ~slow
    task = group_normalised(success.astype(np.float64))
    profiles = _profiles(group, settings)
    stalled = stalled_blocks(profiles.speed, compared)

    def advantages(jerk: list[Profile], floor: float) -> tuple[np.ndarray, ...]:
        scores = profile_scores(jerk, compared, floor, settings.smoothness_clip)
        found = []
        for index, score in enumerate(scores):
            allowed = np.where(slow[index] | stalled[index], np.minimum(score, 0.0), score)
            if not measured[index]:
                allowed = np.zeros_like(allowed)
            smoothness = settings.smoothness_weight * allowed * success[index]
            found.append(task[index] + np.repeat(smoothness, jerk[index].lengths))
        return tuple(found)

    floor = _floor(group, settings)
    jerk = equal_pace_jerk(profiles.jerk, compared, settings.pace_exponent)
    angular = equal_pace_jerk(profiles.angular_jerk, compared, settings.pace_exponent)
    angular_floor = max(settings.jerk_spread_floor * group.reference.angular_jerk, _STILL)
    mixed = success.any() and not success.all()
    # Of what is scored: rollouts may be equally rough as a whole and differ step by step.
    spreads = profile_spread(jerk, compared) > floor
    spreads = spreads or profile_spread(angular, compared) > angular_floor
    informative = mixed or (settings.smoothness_weight > 0.0 and spreads)
    return GroupCredit(
        success.astype(np.float64),
        advantages(jerk, floor),
        bool(informative),
        rotation_advantages=advantages(angular, angular_floor),
        gripper_advantages=tuple(np.full(n, a) for n, a in zip(group.steps, task, strict=True)),
    )


def _slow(group: GroupOutcome, settings: RewardSettings) -> np.ndarray:
    """Say which rollouts are longer than `slow_limit` allows, bool [G]."""
    if not group.reference.episodes:
        # The mean of other tasks does not say how long this one takes.
        return np.zeros(len(group.rollouts), dtype=bool)
    return group.steps > settings.slow_limit * group.reference.steps


def _jerk_spreads(group: GroupOutcome, settings: RewardSettings) -> bool:
    """Say whether the successes differ in mean jerk by more than noise."""
    solved = group.jerk[group.success & group.measured]
    return bool(len(solved) >= 2 and solved.std() > _floor(group, settings))


def _supposed_jerk(group: GroupOutcome) -> np.ndarray:
    """Return the mean jerk of each rollout [G] m/s^3, the others' mean where it has none."""
    solved = group.jerk[group.success & group.measured]
    typical = solved.mean() if len(solved) else group.reference.jerk
    return np.where(group.measured, group.jerk, typical)


def _floor(group: GroupOutcome, settings: RewardSettings) -> float:
    """Return the spread of jerk that counts as noise, m/s^3."""
    return settings.jerk_spread_floor * group.reference.jerk


@dataclass(frozen=True)
class _Profiles:
    """Of each rollout, at the chosen credit: m/s^3, rad/s^3 and m/s."""

    jerk: list[Profile]
    angular_jerk: list[Profile]
    speed: list[Profile]


def _profiles(group: GroupOutcome, settings: RewardSettings) -> _Profiles:
    blocks = [_blocks(rollout, settings.smoothness_credit) for rollout in group.rollouts]
    pairs = list(zip(group.rollouts, blocks, strict=True))
    return _Profiles(
        [Profile.means(rollout.step_jerk, lengths) for rollout, lengths in pairs],
        [Profile.means(rollout.step_angular_jerk, lengths) for rollout, lengths in pairs],
        [Profile.means(rollout.step_speed, lengths) for rollout, lengths in pairs],
    )


def _blocks(rollout: RolloutOutcome, credit: str) -> tuple[int, ...]:
    """Return the lengths, in control steps, of the blocks that get a score each."""
    if credit == 'episode':
        return (rollout.steps,)
    if credit == 'step':
        return (1,) * rollout.steps
    # A chunk that was decided and never run has no jerk; 0 would be the smoothest of its phase.
    return tuple(steps for steps in rollout.chunk_steps if steps > 0)
