"""What the estimator reads where there is nothing but encoder steps."""

from __future__ import annotations

import math

import numpy as np

from smoothvla_ros.smoothness.estimator import EstimatorSettings, PolynomialFit
from smoothvla_ros.smoothness.window_fits import window_motions


def velocity_weight(encoder_step: float, velocity_step: float) -> float:
    """Return the deviation of a position over that of a velocity, s; 0 for no velocities.

    encoder_step: rad.  velocity_step: rad/s, 0 where velocities are not to be used.
    """
    return encoder_step / velocity_step if velocity_step > 0.0 else 0.0


def joint_noise_floor(
    estimator: EstimatorSettings,
    encoder_step: float,
    newest: bool = False,
    velocity_step: float = 0.0,
) -> float:
    """Return the standard deviation that encoder steps alone give the estimated joint jerk.

    The 2-norm of the estimator's own coefficients times the deviation of a position rounded to
    `encoder_step`, which is step/sqrt(12).  encoder_step: rad.  Returns rad/s^3.
    newest: of the estimate at the newest sample instead of the centre; it is much noisier.
    velocity_step: rad/s, of velocities that are fitted along with the positions; 0 where none are.
    """
    at = float(estimator.grid_s[-1]) if newest else 0.0
    weight_s = velocity_weight(encoder_step, velocity_step)
    if weight_s == 0.0:
        coefficients = PolynomialFit(estimator.grid_s, estimator.order).derivatives_at(at)[3]
        return float(np.linalg.norm(coefficients) * encoder_step / math.sqrt(12))
    one, none = np.eye(estimator.window_samples), np.zeros((estimator.window_samples,) * 2)
    of_positions, of_velocities = (
        window_motions(
            estimator.grid_s[None],
            positions[None],
            estimator.order,
            np.array([at]),
            velocities[None],
            weight_s,
        )[0, 3]
        for positions, velocities in ((one, none), (none, one))
    )
    return math.hypot(
        float(np.linalg.norm(of_positions)) * encoder_step / math.sqrt(12),
        float(np.linalg.norm(of_velocities)) * velocity_step / math.sqrt(12),
    )


def tool_noise_floor(
    estimator: EstimatorSettings,
    encoder_step: float,
    jacobian: np.ndarray,
    newest: bool = False,
    velocity_step: float = 0.0,
) -> tuple[float, float]:
    """Return the root mean square norm of the tool jerk that encoder steps alone give.

    jacobian: [6, n] at the arm's present joints; all joints have the same `encoder_step` in rad.
    Returns (m/s^3, rad/s^3). Holds for a slow arm: the terms in J' and J'' grow with speed.
    """
    floor = joint_noise_floor(estimator, encoder_step, newest, velocity_step)
    return (
        float(np.linalg.norm(jacobian[:3]) * floor),
        float(np.linalg.norm(jacobian[3:]) * floor),
    )
