"""Jerk with what mere speed explains taken out: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.training.phases import Profile, mean_at

SPEED_FLOOR = 0.1
"""Share of the group's mean speed below which a block rests: it is then read as this fast."""


def speed_neutral_jerk(
    jerk: Sequence[Profile], speed: Sequence[Profile], compared: np.ndarray, jerk_floor: float
) -> list[Profile]:
    """Bring the jerk of every block to the speed that the group has in that phase.

    J' = J (v_mean / v)^b. The exponent b is the group's own: the least-squares slope of log J on
    log v over all blocks of the compared rollouts, both as deviations from the mean of their phase;
    3 where one path is run at different speeds, 0 where the faster rollout is not the jerkier one.
    So what is left has no linear relation to speed in the group, and a gradient that follows it
    pays for no motion because it is slow.

    jerk, speed: G profiles over the same blocks, m/s^3 and m/s.  compared: bool [G].
    jerk_floor: m/s^3, what a block of less is read as in the fit.
    Returns G profiles; the jerk itself where fewer than two rollouts are compared or all rest.
    """
    used = np.flatnonzero(compared).tolist()
    if len(used) < 2:
        return list(jerk)
    speed_floor = SPEED_FLOOR * float(np.concatenate([speed[i].values for i in used]).mean())
    if speed_floor <= 0.0:
        return list(jerk)
    faster = _log_deviations(speed, speed_floor, used)
    jerkier = _log_deviations(jerk, jerk_floor, used)
    exponent = _slope(
        np.concatenate([faster[i] for i in used]), np.concatenate([jerkier[i] for i in used])
    )
    return [
        profile.with_values(profile.values * np.exp(-exponent * deviation))
        for profile, deviation in zip(jerk, faster, strict=True)
    ]


def _log_deviations(
    profiles: Sequence[Profile], floor: float, used: Sequence[int]
) -> list[np.ndarray]:
    """Return how far the logarithm of every block is from the used rollouts' mean at its phase."""
    logarithms = [
        profile.with_values(np.log(np.maximum(profile.values, floor))) for profile in profiles
    ]
    yardstick = [logarithms[index] for index in used]
    return [profile.values - mean_at(yardstick, profile.phases) for profile in logarithms]


def _slope(x: np.ndarray, y: np.ndarray) -> float:
    """Return the least-squares slope through the origin, or 0 where it is negative."""
    variance = float(x @ x)
    return max(float(x @ y) / variance, 0.0) if variance > 1e-12 else 0.0
