"""The estimator's fit over many windows at once, with joint velocities where they are known."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.smoothness.estimator import derivative_weights


def window_motions(
    offsets_s: np.ndarray,
    positions: np.ndarray,
    order: int,
    at_s: np.ndarray,
    velocities: np.ndarray | None = None,
    velocity_weight_s: float = 0.0,
) -> np.ndarray:
    """Fit a polynomial to each of K windows and return its value and derivatives: [K, 4, n].

    The least squares of `PolynomialFit`, window by window. A velocity adds a row for the
    polynomial's derivative, weighted by how much surer it is than a position.
    offsets_s: [K, W] s, times of the samples from the window's centre, W > order.
    positions: [K, W, n] rad.  at_s: [K] s, where each window's motion is wanted.
    velocities: [K, W, n] rad/s, or None; a sample with one that is not finite has none.
    velocity_weight_s: s, deviation of a position over that of a velocity.
    Raises ValueError where a window's times do not determine its polynomial.
    """
    scale = float(np.abs(offsets_s).max())
    transposed = np.ones((len(offsets_s), order + 1, offsets_s.shape[1]))
    for power in range(order):
        np.multiply(transposed[:, power], offsets_s / scale, out=transposed[:, power + 1])
    powers = transposed.transpose(0, 2, 1)
    normal, right = transposed @ powers, transposed @ positions
    if velocities is not None and velocity_weight_s > 0.0:
        known = np.isfinite(velocities).all(axis=2)
        slopes = np.zeros_like(powers)
        slopes[..., 1:] = powers[..., :-1] * np.arange(1, order + 1) * (velocity_weight_s / scale)
        slopes *= known[..., None]
        transposed = slopes.transpose(0, 2, 1)
        weighted = np.where(known[..., None], velocities, 0.0) * velocity_weight_s
        normal = normal + transposed @ slopes
        right = right + transposed @ weighted
    try:
        coefficients = np.linalg.solve(normal, right)
    except np.linalg.LinAlgError as error:
        raise ValueError(f'times do not determine a polynomial of order {order}') from error
    return derivative_weights(order, at_s / scale, scale) @ coefficients
