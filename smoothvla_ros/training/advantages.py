"""Advantages of the rollouts of one group: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def smoothness_scores(
    jerk: np.ndarray, compared: np.ndarray, spread_floor: float, clip: float
) -> np.ndarray:
    """Score each rollout's jerk against the group's compared rollouts; smoother is higher.

    jerk: [G] m/s^3.  compared: bool [G], the rollouts whose mean and spread are the yardstick.
    spread_floor: m/s^3, below which a spread is noise.
    Returns clip(-(J - mean) / max(std, spread_floor), -clip, clip) [G]; zeros where fewer than two
    rollouts are compared.
    """
    profiles = [np.array([value]) for value in np.asarray(jerk, dtype=np.float64)]
    return np.concatenate(profile_scores(profiles, compared, spread_floor, clip))


def profile_scores(
    profiles: Sequence[np.ndarray], compared: np.ndarray, spread_floor: float, clip: float
) -> list[np.ndarray]:
    """Score each block of each rollout against the same phase of the compared rollouts.

    profiles: G arrays [n_i], the mean jerk of a rollout's consecutive blocks in m/s^3. The phase of
    block k is (k + 1/2) / n_i; a rollout with another number of blocks is read at that phase by
    linear interpolation.  Other arguments and the result, G arrays [n_i], as `smoothness_scores`.
    """
    yardstick = [profile for profile, used in zip(profiles, compared, strict=True) if used]
    if len(yardstick) < 2:
        return [np.zeros(len(profile)) for profile in profiles]
    scores = []
    for profile in profiles:
        at_phase = np.stack([_at_phases(other, len(profile)) for other in yardstick])
        spread = np.maximum(at_phase.std(axis=0), spread_floor)
        scores.append(np.clip((at_phase.mean(axis=0) - profile) / spread, -clip, clip))
    return scores


def _at_phases(profile: np.ndarray, blocks: int) -> np.ndarray:
    """Read a profile [n] at the phases of `blocks` equal blocks; returns [blocks]."""
    if len(profile) == blocks:
        return profile
    phases = (np.arange(blocks) + 0.5) / blocks
    return np.interp(phases, (np.arange(len(profile)) + 0.5) / len(profile), profile)
