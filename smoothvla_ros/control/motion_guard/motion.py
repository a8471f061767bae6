"""A motion as the guard publishes it: states at ticks, quintic polynomials between them.

joint_trajectory_controller interpolates positions, velocities and accelerations with the one
quintic that meets them at both ends of a segment. What is computed here is therefore the signal
that the arm receives, not an approximation of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.control.motion_guard.robot import JointLimits

POSITION, VELOCITY, ACCELERATION = range(3)

# Bernstein coefficients of a quintic on [0, 1] from (p, v, a) at 0 and at 1.
_BERNSTEIN = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [1, 1 / 5, 0, 0, 0, 0],
        [1, 2 / 5, 1 / 20, 0, 0, 0],
        [0, 0, 0, 1, -2 / 5, 1 / 20],
        [0, 0, 0, 1, -1 / 5, 0],
        [0, 0, 0, 1, 0, 0],
    ]
)


def _halves(degree: int) -> np.ndarray:
    """Return the matrix [2 * degree + 1, degree + 1] of de Casteljau's subdivision at 1/2."""
    rows = np.eye(degree + 1)
    left, right = [rows[0]], [rows[-1]]
    while len(rows) > 1:
        rows = (rows[1:] + rows[:-1]) / 2
        left.append(rows[0])
        right.append(rows[-1])
    return np.array(left + right[-2::-1])


_POSITION_HULL = _halves(5) @ _BERNSTEIN
_VELOCITY_HULL = _halves(4) @ (5 * np.diff(_BERNSTEIN, axis=0))
_ACCELERATIONS = 20 * np.diff(_BERNSTEIN, n=2, axis=0)
_JERKS = 60 * np.diff(_BERNSTEIN, n=3, axis=0)


@dataclass(frozen=True)
class Motion:
    """States at rising ticks; after the last one the arm rests where it is.

    period_s: of a tick.  ticks: int [K].  states: [K, 3, n], positions rad, velocities rad/s and
    accelerations rad/s^2.
    """

    period_s: float
    ticks: np.ndarray
    states: np.ndarray

    @classmethod
    def at_rest(cls, period_s: float, ticks: tuple[int, ...], joints: np.ndarray) -> Motion:
        """Return the motion that stays at `joints` [n]."""
        states = np.zeros((len(ticks), 3, len(joints)))
        states[:, POSITION] = joints
        return cls(period_s, np.array(ticks), states)

    @property
    def end(self) -> int:
        """The tick from which on the arm rests."""
        return int(self.ticks[-1])

    def at(self, tick: float) -> np.ndarray:
        """Return the state [3, n] at a tick, whole or not; before the first it is the first."""
        index = int(np.searchsorted(self.ticks, tick, side='right')) - 1
        if index < 0:
            return self.states[0].copy()
        if index == len(self.ticks) - 1:
            return self.states[-1].copy()
        start, stop = self.ticks[index], self.ticks[index + 1]
        if tick == start:
            return self.states[index].copy()
        duration = (stop - start) * self.period_s
        position = _BERNSTEIN @ _scaled(self.states[index], self.states[index + 1], duration)
        fraction = (tick - start) / (stop - start)
        velocity = 5 * np.diff(position, axis=0) / duration
        acceleration = 4 * np.diff(velocity, axis=0) / duration
        return np.stack([_casteljau(c, fraction) for c in (position, velocity, acceleration)])

    def continued(self, tick: int, ticks: np.ndarray, states: np.ndarray) -> Motion:
        """Return this motion up to `tick`, and from there on other states.

        ticks: int [M], the first one is `tick`.  states: [M, 3, n], the first is `at(tick)`.
        One state before `tick` is kept per knot of the past, so that whoever follows this motion
        finds the same polynomial again.
        """
        past = self.ticks < tick
        return Motion(
            self.period_s,
            np.concatenate([self.ticks[past], ticks]),
            np.concatenate([self.states[past], states]),
        )

    def since(self, tick: float) -> Motion:
        """Return the part that is needed from `tick` on: the last state before it, and later."""
        first = max(int(np.searchsorted(self.ticks, tick, side='right')) - 1, 0)
        return Motion(self.period_s, self.ticks[first:], self.states[first:])

    def violation(self, limits: JointLimits, tolerance: float = 1e-9) -> str:
        """Return which limit some segment breaks, or an empty string.

        The check is of the polynomials themselves, not of samples: positions and velocities by
        the convex hull of their Bernstein coefficients after one subdivision, accelerations and
        jerks by their extrema.  tolerance: relative, for rounding.
        """
        if not np.isfinite(self.states).all():
            return 'a state is not finite'
        durations = (np.diff(self.ticks) * self.period_s)[:, None]
        ends = np.concatenate([self.states[:-1], self.states[1:]], axis=1)
        for derivative in (VELOCITY, ACCELERATION):
            ends[:, [derivative, derivative + 3]] *= durations[:, None] ** derivative
        slack = 1.0 + tolerance
        positions = _POSITION_HULL @ ends
        if (positions < limits.lower - tolerance).any() or (
            positions > limits.upper + tolerance
        ).any():
            return 'a position'
        velocities = np.abs(_VELOCITY_HULL @ ends).max(axis=1, initial=0.0) / durations
        if (velocities > limits.velocity * slack).any():
            return 'a velocity'
        accelerations, jerks = _extrema(_ACCELERATIONS @ ends, _JERKS @ ends)
        if (accelerations > durations**2 * limits.acceleration * slack).any():
            return 'an acceleration'
        if (jerks > durations**3 * limits.jerk * slack).any():
            return 'a jerk'
        return ''


def _scaled(start: np.ndarray, stop: np.ndarray, duration: float) -> np.ndarray:
    scale = np.array([1.0, duration, duration**2])[:, None]
    return np.concatenate([start * scale, stop * scale])


def _casteljau(coefficients: np.ndarray, fraction: float) -> np.ndarray:
    while len(coefficients) > 1:
        coefficients = (1 - fraction) * coefficients[:-1] + fraction * coefficients[1:]
    return np.asarray(coefficients[0])


def _extrema(accelerations: np.ndarray, jerks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest magnitudes [S, n] of cubics and of their quadratic derivatives.

    accelerations: [S, 4, n], jerks: [S, 3, n], Bernstein coefficients on [0, 1].
    """
    first, middle, last = jerks[:, 0], jerks[:, 1], jerks[:, 2]
    curvature = first - 2 * middle + last
    slope = first - middle
    with np.errstate(divide='ignore', invalid='ignore'):
        vertex = np.clip(np.nan_to_num(slope / curvature), 0.0, 1.0)
        root = np.sqrt(np.maximum(slope**2 - curvature * first, 0.0))
        # The stable form of the quadratic's roots.
        half = slope + np.copysign(root, slope)
        crossings = [np.nan_to_num(half / curvature), np.nan_to_num(first / half)]
    largest_jerk = np.maximum(np.abs(first), np.abs(last))
    largest_jerk = np.maximum(
        largest_jerk, np.abs(first - 2 * slope * vertex + curvature * vertex**2)
    )
    largest = np.maximum(np.abs(accelerations[:, 0]), np.abs(accelerations[:, 3]))
    for crossing in crossings:
        u = np.clip(crossing, 0.0, 1.0)
        w = 1.0 - u
        value = (
            w**3 * accelerations[:, 0]
            + 3 * w**2 * u * accelerations[:, 1]
            + 3 * w * u**2 * accelerations[:, 2]
            + u**3 * accelerations[:, 3]
        )
        largest = np.maximum(largest, np.abs(value))
    return largest, largest_jerk
