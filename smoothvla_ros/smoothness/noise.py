"""What the estimator reads where there is nothing but encoder steps."""

from __future__ import annotations

import math

import numpy as np

from smoothvla_ros.smoothness.estimator import EstimatorSettings, PolynomialFit


def joint_noise_floor(
    estimator: EstimatorSettings, encoder_step: float, newest: bool = False
) -> float:
    """Return the standard deviation that encoder steps alone give the estimated joint jerk.

    The 2-norm of the estimator's own coefficients times the deviation of a position rounded to
    `encoder_step`, which is step/sqrt(12).  encoder_step: rad.  Returns rad/s^3.
    newest: of the estimate at the newest sample instead of the centre; it is much noisier.
    """
    at = float(estimator.grid_s[-1]) if newest else 0.0
    coefficients = PolynomialFit(estimator.grid_s, estimator.order).derivatives_at(at)[3]
    return float(np.linalg.norm(coefficients) * encoder_step / math.sqrt(12))


def tool_noise_floor(
    estimator: EstimatorSettings,
    encoder_step: float,
    jacobian: np.ndarray,
    newest: bool = False,
) -> tuple[float, float]:
    """Return the root mean square norm of the tool jerk that encoder steps alone give.

    jacobian: [6, n] at the arm's present joints; all joints have the same `encoder_step` in rad.
    Returns (m/s^3, rad/s^3). Holds for a slow arm: the terms in J' and J'' grow with speed.
    """
    floor = joint_noise_floor(estimator, encoder_step, newest)
    return (
        float(np.linalg.norm(jacobian[:3]) * floor),
        float(np.linalg.norm(jacobian[3:]) * floor),
    )
