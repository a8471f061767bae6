"""From a group of rollouts to the credit of every step.

What a reward of one's own needs is here; docs/training.md shows one.
"""

from smoothvla_ros.training.rewards.functions import (
    GroupCredit,
    RewardSettings,
    credit_from_rewards,
    reward,
)
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

__all__ = [
    'GroupCredit',
    'GroupOutcome',
    'RewardSettings',
    'RolloutOutcome',
    'TaskReference',
    'credit_from_rewards',
    'reward',
]
