"""Jerk as it would be at the pace of the group: pure functions of numbers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.training.rewards.phases import Profile, mean_at

SPEED_FLOOR = 0.1
"""Share of the group's mean speed below which a block rests: it is then read as this fast."""

STALLED = 0.5
"""Share of the group's mean speed in a phase below which a block dawdles."""


def equal_pace_jerk(
    jerk: Sequence[Profile], compared: np.ndarray, pace_exponent: float
) -> list[Profile]:
    """Bring the jerk of every rollout to the duration that the compared ones have in the mean.

    J' = J (T / T_mean)^b: a path in more time has less jerk, as the third power of the pace in
    theory. The duration of the whole rollout, because it is known exactly: the speed of one block
    varies with the path far more than with the pace, and would drown the jerk.

    jerk: G profiles, m/s^3.  compared: bool [G].  pace_exponent: b; 0 leaves the jerk as it is.
    Returns G profiles; the jerk itself where none is compared.
    """
    durations = np.array([sum(profile.lengths) for profile in jerk], dtype=np.float64)
    if not compared.any():
        return list(jerk)
    factors = (durations / durations[compared].mean()) ** pace_exponent
    return [
        profile.with_values(profile.values * factor)
        for profile, factor in zip(jerk, factors, strict=True)
    ]


def stalled_blocks(speed: Sequence[Profile], compared: np.ndarray) -> list[np.ndarray]:
    """Say which blocks dawdle: slower than `STALLED` times the group's mean in that phase.

    Jerk at rest is zero whatever it is multiplied by, so these may not be scored as smooth.
    speed: G profiles, m/s.  compared: bool [G], whose mean is the yardstick.
    Returns G arrays bool [n_i]; all False where fewer than two are compared or all rest.
    """
    yardstick = [profile for profile, used in zip(speed, compared, strict=True) if used]
    nowhere = [np.zeros(len(profile.values), dtype=bool) for profile in speed]
    if len(yardstick) < 2:
        return nowhere
    floor = SPEED_FLOOR * float(np.concatenate([p.values for p in yardstick]).mean())
    if floor <= 0.0:
        return nowhere
    logarithms = [
        profile.with_values(np.log(np.maximum(profile.values, floor))) for profile in speed
    ]
    typical = [profile for profile, used in zip(logarithms, compared, strict=True) if used]
    return [
        profile.values - mean_at(typical, profile.phases) < np.log(STALLED)
        for profile in logarithms
    ]
