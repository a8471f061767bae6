"""Jerk with what mere speed explains taken out: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.training.phases import Profile, mean_at

SPEED_FLOOR = 0.1
"""Share of the group's mean speed below which a block rests: it is then read as this fast."""

STALLED = 0.5
"""Share of the group's mean speed in a phase below which a block dawdles."""


def speed_neutral_jerk(
    jerk: Sequence[Profile],
    speed: Sequence[Profile],
    compared: np.ndarray,
    jerk_floor: float,
    pace_exponent: float,
) -> list[Profile]:
    """Bring the jerk of every block to the speed that the group has in that phase.

    J' = J (v_mean / v)^b. For a block that is faster than the group, b is what the group itself
    shows: the least-squares slope of log J on log v over all blocks of the compared rollouts, as
    deviations from the mean of their phase, and not below 0. A slower block is brought up with at
    least `pace_exponent`, because in a sampled group speed and jerk vary together far less than
    they do when one path is run more slowly, and slowness would be paid for.

    jerk, speed: G profiles over the same blocks, m/s^3 and m/s.  compared: bool [G].
    jerk_floor: m/s^3, what a block of less is read as in the fit.  pace_exponent: how jerk is
    taken to fall with the pace at which one path is run; 0 leaves it to the group.
    Returns G profiles; the jerk itself where fewer than two rollouts are compared or all rest.
    """
    used = np.flatnonzero(compared).tolist()
    faster = _faster(speed, used)
    if faster is None:
        return list(jerk)
    jerkier = _log_deviations(jerk, jerk_floor, used)
    shown = _slope(
        np.concatenate([faster[i] for i in used]), np.concatenate([jerkier[i] for i in used])
    )
    exponents = [np.where(f < 0.0, max(shown, pace_exponent), shown) for f in faster]
    return [
        profile.with_values(profile.values * np.exp(-exponent * deviation))
        for profile, exponent, deviation in zip(jerk, exponents, faster, strict=True)
    ]


def stalled_blocks(speed: Sequence[Profile], compared: np.ndarray) -> list[np.ndarray]:
    """Say which blocks dawdle: slower than `STALLED` times the group's mean in that phase.

    Jerk at rest is zero whatever it is multiplied by, so these may not be scored as smooth.
    Arguments as `speed_neutral_jerk`; returns G arrays bool [n_i].
    """
    faster = _faster(speed, np.flatnonzero(compared).tolist())
    if faster is None:
        return [np.zeros(len(profile.values), dtype=bool) for profile in speed]
    return [deviation < np.log(STALLED) for deviation in faster]


def _faster(speed: Sequence[Profile], used: Sequence[int]) -> list[np.ndarray] | None:
    """Return the logarithm of every block's speed over the group's; None where there is none."""
    if len(used) < 2:
        return None
    floor = SPEED_FLOOR * float(np.concatenate([speed[i].values for i in used]).mean())
    return _log_deviations(speed, floor, used) if floor > 0.0 else None


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
