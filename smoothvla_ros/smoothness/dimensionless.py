"""Log dimensionless jerk: jerk of a movement's shape, whatever its size and duration."""

from __future__ import annotations

import math

import numpy as np


def log_dimensionless_jerk(velocity: np.ndarray, dt: float) -> float:
    """Return LDLJ of a velocity profile: nearer to zero is smoother, a minimum-jerk reach -5.32.

    Balasubramanian, Melendez-Calderon, Roby-Brami, Burdet, "On the analysis of movement
    smoothness", 2015, with its discretisation. The jerk is the second difference of the velocity,
    without any smoothing; where samples are noisy, estimate the jerk and use
    `log_dimensionless_jerk_of`, as `summarise` does.
    velocity: [N] speed or [N, d] velocity, m/s, N >= 3, `dt` seconds apart.
    NaN for a tool that never moves, infinity for constant velocity.  Raises ValueError for fewer
    samples or values that are not finite.
    """
    velocity = np.asarray(velocity, dtype=np.float64)
    if len(velocity) < 3 or not np.isfinite(velocity).all():
        raise ValueError('velocity must have at least 3 samples, all finite')
    speed = np.abs(velocity) if velocity.ndim == 1 else np.linalg.norm(velocity, axis=1)
    jerk = np.diff(velocity, 2, axis=0) / dt**2
    return log_dimensionless_jerk_of(jerk, dt, float(speed.max()), len(velocity) * dt)


def log_dimensionless_jerk_of(
    jerk: np.ndarray, dt: float, peak_speed: float, duration_s: float
) -> float:
    """Return -ln(duration^3 / peak_speed^2 times the integral of the squared jerk).

    jerk: [N] or [N, d], m/s^3, `dt` seconds apart.  peak_speed: m/s.  duration_s: s.
    NaN for a peak speed of zero, infinity where there is no jerk.
    """
    if peak_speed == 0:
        return math.nan
    integral = float(np.square(jerk).sum() * dt)
    if integral == 0:
        return math.inf
    return -math.log(duration_s**3 / peak_speed**2 * integral)
