"""Jerk of joints and tool from joint samples: equation 4 of the SmoothVLA paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from smoothvla_ros.smoothness.estimator import (
    EstimatorSettings,
    PolynomialFit,
    check_samples,
)

Jacobian = Callable[[np.ndarray], np.ndarray]

# Step of the differences that give the Jacobian's time derivatives, as a share of the window.
# Truncation (its square) and rounding (machine epsilon over its square) are then both below a
# millionth of the jerk for an arm at its speed limits.
_JACOBIAN_STEP = 1 / 300


def screw_jerk(motion: np.ndarray, jacobian: Jacobian, window_s: float) -> np.ndarray:
    """Return [6]: second time derivative of the tool twist J(q) q', eq. 4 of the paper.

    J'' q' + 2 J' q'' + J q'''. The derivatives of J are central differences of `jacobian` along
    the parabola through q with velocity q' and acceleration q'', on which alone they depend.
    motion: [4, n], q and its first three derivatives in rad, s.  jacobian: [n] -> [6, n].
    window_s: s, the window that the motion was fitted over; sets the step of the differences.
    Linear rows in m/s^3, angular rows in rad/s^3 (second derivative of the angular velocity).
    """
    position, velocity, acceleration, jerk = motion
    step = window_s * _JACOBIAN_STEP
    bend = position + acceleration * (step * step / 2)
    ahead = jacobian(bend + velocity * step)
    here = jacobian(position)
    behind = jacobian(bend - velocity * step)
    first = (ahead - behind) / (2 * step)
    second = (ahead - 2 * here + behind) / (step * step)
    return second @ velocity + 2 * (first @ acceleration) + here @ jerk


def tool_jerk(
    joint_positions: np.ndarray, jacobian: Jacobian, dt: float, estimator: EstimatorSettings
) -> np.ndarray:
    """Return the jerk of the tool at every sample: [T, 6], m/s^3 and rad/s^3, base axes.

    Each row is the centre of a full window; the first and last ``estimator.half_width`` rows,
    which have none, are NaN. They are not blind spots: what moves there is inside the window of
    the rows next to them.
    joint_positions: [T, n] rad, `dt` seconds apart.  jacobian: [n] rad -> [6, n].
    Raises ValueError for a `dt` that is not the estimator's, a wrong shape or values that are not
    finite, and TooFewSamplesError (a ValueError) where T is less than a window.
    """
    estimator.require_period(dt)
    positions = check_samples(joint_positions, estimator)
    jerk = np.full((len(positions), 6), np.nan)
    for index, motion in centred_motions(positions, estimator):
        jerk[index] = screw_jerk(motion, jacobian, estimator.window_s)
    return jerk


def joint_jerk(joint_positions: np.ndarray, dt: float, estimator: EstimatorSettings) -> np.ndarray:
    """Return the jerk of every joint: [T, n] rad/s^3, NaN where `tool_jerk` is.

    joint_positions: [T, n] rad.  Raises as `tool_jerk` does.
    """
    estimator.require_period(dt)
    positions = check_samples(joint_positions, estimator)
    jerk = np.full(positions.shape, np.nan)
    for index, motion in centred_motions(positions, estimator):
        jerk[index] = motion[3]
    return jerk


def tool_twists(
    joint_positions: np.ndarray, jacobian: Jacobian, dt: float, estimator: EstimatorSettings
) -> np.ndarray:
    """Return the velocity of the tool at every sample: [T, 6], m/s and rad/s, base axes.

    The joint velocities come from the estimator's fit; those of the samples without a full
    window from the polynomial of the nearest one, so that no row is NaN.
    joint_positions: [T, n] rad.  Raises as `tool_jerk` does.
    """
    estimator.require_period(dt)
    positions = check_samples(joint_positions, estimator)
    size, half = estimator.window_samples, estimator.half_width
    velocities = np.empty_like(positions)
    for index, motion in centred_motions(positions, estimator):
        velocities[index] = motion[1]
    fit = PolynomialFit(estimator.grid_s, estimator.order)
    for k in range(half):
        velocities[k] = fit.derivatives_at(estimator.grid_s[k])[1] @ positions[:size]
        velocities[-1 - k] = fit.derivatives_at(estimator.grid_s[-1 - k])[1] @ positions[-size:]
    return np.array([jacobian(q) @ v for q, v in zip(positions, velocities, strict=True)])


def centred_motions(
    positions: np.ndarray, estimator: EstimatorSettings, stride: int = 1
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index of the centre, [4, n] value and derivatives there) for every full window.

    positions: float64 [T, n], checked.  stride: take every stride-th window.
    """
    coefficients = PolynomialFit(estimator.grid_s, estimator.order).derivatives_at(0.0)
    half = estimator.half_width
    for centre in range(half, len(positions) - half, stride):
        yield centre, coefficients @ positions[centre - half : centre + half + 1]
