"""The one estimator of derivatives: a polynomial fitted by least squares over a time window.

On a regular grid this is the Savitzky-Golay filter (Savitzky and Golay, 1964); on irregular stamps
it is the same fit at the stamps that the samples really have. Reward, monitor and report use it
with the same settings, because jerk compares only at equal rate, window and order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import CONTROL_RATE_HZ

DERIVATIVES = 4  # position, velocity, acceleration, jerk
# A stamp this close to its place on the regular grid counts as on it: at 1 rad/s that displaces a
# joint by 1e-6 rad, a tenth of a fine encoder's step.
ON_GRID_S = 1e-6
_ORDERS = np.arange(DERIVATIVES)[:, None]
# A window may last this share of its length more or less before its rate counts as wrong.
RATE_TOLERANCE = 0.25

_READINGS_PER_WINDOW = 30
# The fit bridges a hole that is a small part of the window.
_BRIDGED_SHARE = 0.25


class TooFewSamplesError(ValueError):
    """A motion is shorter than one window of the estimator: it has no jerk."""


@dataclass(frozen=True)
class EstimatorSettings:
    """What makes two jerks comparable; published beside every jerk."""

    rate_hz: float = setting(
        CONTROL_RATE_HZ, 'rate of the joint samples in Hz', minimum=1.0, maximum=10000.0
    )
    window_s: float = setting(0.3, 'length of the fitted window in s', minimum=0.001, maximum=10.0)
    order: int = setting(4, 'order of the fitted polynomial', minimum=3, maximum=6)

    def __post_init__(self) -> None:
        """Raise UserError where the window holds too few samples to smooth anything."""
        validate(self, 'jerk estimator')
        if self.window_samples < self.order + 2:
            raise UserError(
                f'jerk estimator: window_s={self.window_s} holds {self.window_samples} samples at '
                f'rate_hz={self.rate_hz}, order={self.order} needs {self.order + 2}; '
                'widen the window or sample faster'
            )

    @property
    def period_s(self) -> float:
        """Time between two samples, s."""
        return 1.0 / self.rate_hz

    @property
    def half_width(self) -> int:
        """Number of samples on either side of the centre; the window never exceeds window_s."""
        return math.floor(self.window_s * self.rate_hz / 2 + 1e-6)

    @property
    def window_samples(self) -> int:
        """Number of samples in a full window, always odd."""
        return 2 * self.half_width + 1

    @property
    def grid_s(self) -> np.ndarray:
        """Times of a regular window's samples relative to its centre: [window_samples] s."""
        return np.arange(-self.half_width, self.half_width + 1) * self.period_s

    @property
    def read_stride(self) -> int:
        """Samples from one reading of a fast stream to the next: at least 30 readings a window.

        The fit passes less than a tenth of what changes ten times a window, so its output between
        two such readings holds nothing new; reading every sample at 1 kHz costs ten times as much.
        """
        return max(1, self.window_samples // _READINGS_PER_WINDOW)

    @property
    def longest_step_s(self) -> float:
        """Time between two samples above which a stream has a gap that no fit bridges, s."""
        return max(1.5 * self.period_s, _BRIDGED_SHARE * self.window_s)

    def require_period(self, dt: float) -> None:
        """Raise ValueError where samples `dt` seconds apart are not at this estimator's rate."""
        if not math.isclose(dt * self.rate_hz, 1.0, rel_tol=1e-6):
            raise ValueError(
                f'samples {dt} s apart do not have the rate_hz={self.rate_hz} of the estimator; '
                'jerk compares only at equal rate'
            )


class PolynomialFit:
    """Least-squares polynomial through samples at given times, as coefficients of the samples."""

    def __init__(self, offsets_s: np.ndarray, order: int) -> None:
        """Fit for samples at `offsets_s` [N] s, N > order >= 3, near zero.

        Raises ValueError where the times are too few or too close to determine the polynomial.
        """
        self._order = order
        self._scale, powers = _powers(offsets_s, order)
        self._fit = _solved(powers, powers.T, order)

    def derivatives_at(self, at_s: float) -> np.ndarray:
        """Return [4, N]: times the samples [N, n], the value and three derivatives at `at_s`."""
        return derivative_weights(self._order, at_s / self._scale, self._scale) @ self._fit


def fitted_motions(
    offsets_s: np.ndarray, samples: np.ndarray, order: int, at_s: Sequence[float]
) -> list[np.ndarray]:
    """Return the motion [4, n] at each of `at_s` of the fit through samples [N, n].

    What `PolynomialFit` says, for samples at times that do not come again.  Raises as it does.
    """
    scale, powers = _powers(offsets_s, order)
    polynomial = _solved(powers, powers.T @ samples, order)
    return [derivative_weights(order, at / scale, scale) @ polynomial for at in at_s]


def _powers(offsets_s: np.ndarray, order: int) -> tuple[float, np.ndarray]:
    """Return the unit of time that keeps powers near 1, s, and the powers [N, order + 1]."""
    offsets = np.asarray(offsets_s, dtype=np.float64)
    scale = float(np.max(np.abs(offsets), initial=0.0))
    if len(offsets) <= order or scale == 0.0:
        raise ValueError(f'{len(offsets)} samples do not determine a polynomial of order {order}')
    return scale, np.vander(offsets / scale, order + 1, increasing=True)


def _solved(powers: np.ndarray, right: np.ndarray, order: int) -> np.ndarray:
    try:
        return np.linalg.solve(powers.T @ powers, right)
    except np.linalg.LinAlgError as error:
        raise ValueError(f'times do not determine a polynomial of order {order}') from error


def derivative_weights(order: int, where: float | np.ndarray, scale: float) -> np.ndarray:
    """Return [..., 4, order + 1]: times the coefficients, value and derivatives at `where` [...].

    scale: s, the unit that the polynomial's time is in, as is `where`.
    """
    factors, exponents = _differentiation(order)
    weights: np.ndarray = factors * np.asarray(where)[..., None, None] ** exponents
    return weights / scale**_ORDERS


@functools.cache
def _differentiation(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is before each power in each derivative, and the power that is left."""
    powers = np.arange(order + 1)
    left = powers - _ORDERS
    factors = [[math.perm(p, d) if p >= d else 0 for p in powers] for d in range(DERIVATIVES)]
    return np.array(factors, dtype=np.float64), np.maximum(left, 0)


def check_samples(joint_positions: np.ndarray, settings: EstimatorSettings) -> np.ndarray:
    """Return joint samples as float64 [T, n].

    Raises ValueError for a wrong shape or values that are not finite, TooFewSamplesError (a
    ValueError) for fewer samples than a window holds.
    """
    positions = np.ascontiguousarray(joint_positions, dtype=np.float64)
    if positions.ndim != 2:
        raise ValueError(
            f'joint positions have shape {positions.shape}; expected [samples, joints]'
        )
    if len(positions) < settings.window_samples:
        raise TooFewSamplesError(
            f'{len(positions)} samples are fewer than the {settings.window_samples} that a window '
            f'of {settings.window_s} s holds at {settings.rate_hz} Hz'
        )
    if not np.isfinite(positions).all():
        raise ValueError('joint positions are not all finite')
    return positions
