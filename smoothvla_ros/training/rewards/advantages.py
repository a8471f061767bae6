"""Advantages of the rollouts of one group: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.training.rewards.phases import Profile, mean_at

UNIFORM = 1e-9
"""Rewards of order one that spread less than this are the same number, rounded differently."""


def group_normalised(rewards: np.ndarray) -> np.ndarray:
    """Standardise rewards within their group, eq. 1 of the paper.

    rewards: [G].  Returns (R - mean) / std [G]; zeros where all rewards are the same.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    spread = rewards.std()
    if spread <= UNIFORM:
        return np.zeros_like(rewards)
    return (rewards - rewards.mean()) / spread


def profile_scores(
    profiles: Sequence[Profile], compared: np.ndarray, spread_floor: float, clip: float
) -> list[np.ndarray]:
    """Score each block of each rollout against the same phase of the compared rollouts.

    Smoother is higher. One spread for all phases, so that the scores add up to a rollout's mean
    jerk: a phase in which little jerk is at stake counts little.
    profiles: G profiles of mean jerk, m/s^3.  compared: bool [G], the rollouts whose mean and
    spread are the yardstick.  spread_floor: m/s^3, below which a spread is noise.
    Returns clip(-(J - mean) / max(`profile_spread`, spread_floor), -clip, clip), an array a
    profile; zeros where fewer than two rollouts are compared.
    """
    yardstick = _compared(profiles, compared)
    if len(yardstick) < 2:
        return [np.zeros(len(profile.values)) for profile in profiles]
    spread = max(profile_spread(profiles, compared), spread_floor)
    return [
        np.clip((mean_at(yardstick, profile.phases) - profile.values) / spread, -clip, clip)
        for profile in profiles
    ]


def profile_spread(profiles: Sequence[Profile], compared: np.ndarray) -> float:
    """Return how far the compared rollouts lie from their mean in the same phase, RMS of all.

    Arguments as `profile_scores`.  m/s^3; 0 where fewer than two rollouts are compared.
    """
    yardstick = _compared(profiles, compared)
    if len(yardstick) < 2:
        return 0.0
    deviations = [profile.values - mean_at(yardstick, profile.phases) for profile in yardstick]
    return float(np.sqrt(np.mean(np.concatenate(deviations) ** 2)))


def _compared(profiles: Sequence[Profile], compared: np.ndarray) -> list[Profile]:
    return [profile for profile, used in zip(profiles, compared, strict=True) if used]
