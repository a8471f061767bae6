"""A motion as the guard publishes it: states at ticks, quintic polynomials between them.

joint_trajectory_controller interpolates positions, velocities and accelerations with the one
quintic that meets them at both ends of a segment. What is computed here is therefore the motion
that it follows, not an approximation of it. It samples that motion whenever it wakes up: how evenly
is not known here (docs/guard.md, known gaps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.kinematics.joint_limits import EndVelocities, JointLimits

POSITION, VELOCITY, ACCELERATION = range(3)
_JERK = 3

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


_ACCELERATIONS = 20 * np.diff(_BERNSTEIN, n=2, axis=0)
_JERKS = 60 * np.diff(_BERNSTEIN, n=3, axis=0)
# All hulls of a segment are one product: positions, then velocities, accelerations and jerks.
_HULLS = np.concatenate(
    [
        _halves(5) @ _BERNSTEIN,
        _halves(4) @ (5 * np.diff(_BERNSTEIN, axis=0)),
        _halves(3) @ _ACCELERATIONS,
        _halves(2) @ _JERKS,
    ]
)
_VELOCITIES_FROM, _ACCELERATIONS_FROM = 11, 20
_HULLS_FROM = (0, _VELOCITIES_FROM, _ACCELERATIONS_FROM, 27)
# Of a segment's duration, in the four.
_EXPONENTS = np.arange(4)[:, None, None]
# The same quintic as coefficients of the powers of u.
_MONOMIALS = np.array(
    [
        [1, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 1 / 2, 0, 0, 0],
        [-10, -6, -3 / 2, 10, -4, 1 / 2],
        [15, 8, 3 / 2, -15, 7, -1],
        [-6, -3, -1 / 2, 6, -3, 1 / 2],
    ]
)


@dataclass(frozen=True)
class CommandedMotion:
    """States at rising ticks; after the last one the arm rests where it is.

    period_s: of a tick.  ticks: int [K].  states: [K, 3, n], positions rad, velocities rad/s and
    accelerations rad/s^2.
    """

    period_s: float
    ticks: np.ndarray
    states: np.ndarray

    @classmethod
    def at_rest(
        cls, period_s: float, ticks: tuple[int, ...], joints: np.ndarray
    ) -> CommandedMotion:
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
        index = int(self.ticks.searchsorted(tick, side='right')) - 1
        if index < 0:
            return self.states[0].copy()
        if index == len(self.ticks) - 1:
            return self.states[-1].copy()
        start, stop = self.ticks[index], self.ticks[index + 1]
        if tick == start:
            return self.states[index].copy()
        duration = (stop - start) * self.period_s
        scale = np.array([1.0, duration, duration**2])[:, None]
        ends = (self.states[index : index + 2] * scale).reshape(6, -1)
        return _derivatives((tick - start) / (stop - start)) @ (_MONOMIALS @ ends) / scale

    def continued(self, other: CommandedMotion) -> CommandedMotion:
        """Return this motion up to where another begins, which is in this motion's state there.

        One state before that is kept per knot of the past, so that whoever follows this motion
        finds the same polynomial again.
        """
        past = int(self.ticks.searchsorted(other.ticks[0]))
        return CommandedMotion(
            self.period_s,
            np.concatenate([self.ticks[:past], other.ticks]),
            np.concatenate([self.states[:past], other.states]),
        )

    def since(self, tick: float) -> CommandedMotion:
        """Return the part that is needed from `tick` on: the last state before it, and later."""
        first = max(int(self.ticks.searchsorted(tick, side='right')) - 1, 0)
        return CommandedMotion(self.period_s, self.ticks[first:], self.states[first:])

    def violation(self, limits: JointLimits, tolerance: float = 1e-9) -> str:
        """Return which limit some segment breaks, or an empty string.

        The check is of the polynomials themselves, not of samples: all of them by the convex hull
        of their Bernstein coefficients after one subdivision; where that hull reaches beyond a
        limit of acceleration or jerk, by their extrema.  tolerance: relative, for rounding.
        """
        segments, joints = len(self.ticks) - 1, self.states.shape[2]
        if not np.isfinite(self.states).all():
            return 'a state is not finite'
        if not segments:
            return ''
        durations = (self.ticks[1:] - self.ticks[:-1])[:, None] * self.period_s
        powers = durations**_EXPONENTS
        both = np.empty((2, 3, segments, joints))
        by_order = self.states.transpose(1, 0, 2)
        both[0], both[1] = by_order[:, :-1], by_order[:, 1:]
        both[:, VELOCITY:] *= powers[VELOCITY : ACCELERATION + 1]
        ends = both.reshape(6, segments, joints)
        hulls = (_HULLS @ ends.reshape(6, -1)).reshape(-1, segments, joints)
        if limits.ends is not None:
            velocities = hulls[_VELOCITIES_FROM:_ACCELERATIONS_FROM] / powers[VELOCITY]
            if _too_fast_near_an_end(hulls[:_VELOCITIES_FROM], velocities, limits.ends, tolerance):
                return 'a velocity near the end of a joint'
        hulls[:_VELOCITIES_FROM] -= limits.middle
        largest = np.maximum.reduceat(np.abs(hulls, out=hulls), _HULLS_FROM)
        most = powers * ((1.0 + tolerance) * limits.most[:, None])
        beyond = largest > most
        if not beyond.any():
            return ''
        if beyond[POSITION].any():
            return 'a position'
        if beyond[VELOCITY].any():
            return 'a velocity'
        unsure = beyond[ACCELERATION:].any(axis=(0, 2))
        accelerations, jerks = _extrema(ends[:, unsure])
        if (accelerations > most[ACCELERATION, unsure]).any():
            return 'an acceleration'
        if (jerks > most[_JERK, unsure]).any():
            return 'a jerk'
        return ''


def _too_fast_near_an_end(
    positions: np.ndarray, velocities: np.ndarray, ends: EndVelocities, tolerance: float
) -> bool:
    """Return whether a half of a segment may be faster than its joint may be there.

    positions [11, S, n] rad, velocities [9, S, n] rad/s: the hulls of both halves, which share the
    middle. The fastest of a half is held against what is allowed at its end that lies farthest out.
    """
    factor = 1.0 + tolerance
    for place, speed in ((positions[:6], velocities[:5]), (positions[5:], velocities[4:])):
        up, down = ends.up(place.max(axis=0)), ends.down(place.min(axis=0))
        if (speed.max(axis=0) > factor * up).any() or (-speed.min(axis=0) > factor * down).any():
            return True
    return False


def least_duration_s(distance: np.ndarray, limits: JointLimits, joints: np.ndarray) -> float:
    """Return the shortest time of a quintic from rest to rest over `distance` [n] rad.

    joints: [n] rad, where it ends; on the way there no joint may be slower than there.

    Largest velocity, acceleration and jerk of 10 u^3 - 15 u^4 + 6 u^5: 15/8, 10 / sqrt(3), 60.
    """
    return float(
        max(
            (15 / 8 * distance / limits.velocity_at(joints)).max(),
            np.sqrt(10 / math.sqrt(3) * distance / limits.acceleration).max(),
            np.cbrt(60 * distance / limits.jerk).max(),
        )
    )


def _derivatives(u: float) -> np.ndarray:
    """Return [3, 6]: the powers of u up to 5, and their first and second derivatives."""
    u2, u3 = u * u, u * u * u
    return np.array(
        [
            [1.0, u, u2, u3, u2 * u2, u2 * u3],
            [0.0, 1.0, 2 * u, 3 * u2, 4 * u3, 5 * u2 * u2],
            [0.0, 0.0, 2.0, 6 * u, 12 * u2, 20 * u3],
        ]
    )


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient, cut to [0, 1]; 0 where it does not exist."""
    quotient = np.zeros_like(numerator)
    np.divide(numerator, denominator, out=quotient, where=denominator != 0.0)
    return np.minimum(np.maximum(quotient, 0.0), 1.0)


def _extrema(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest magnitudes [S, n] of acceleration and jerk on [0, 1].

    ends: [6, S, n], (p, v, a) at 0 and at 1 of S quintics.
    """
    accelerations = np.tensordot(_ACCELERATIONS, ends, 1)
    first, middle, last = np.tensordot(_JERKS, ends, 1)
    curvature = first - 2 * middle + last
    slope = first - middle
    vertex = _ratio(slope, curvature)
    root = np.sqrt(np.maximum(slope**2 - curvature * first, 0.0))
    # The stable form of the quadratic's roots.
    half = slope + np.copysign(root, slope)
    largest_jerk = np.maximum(np.abs(first), np.abs(last))
    largest_jerk = np.maximum(
        largest_jerk, np.abs(first - 2 * slope * vertex + curvature * vertex**2)
    )
    largest = np.maximum(np.abs(accelerations[0]), np.abs(accelerations[3]))
    for u in (_ratio(half, curvature), _ratio(first, half)):
        w = 1.0 - u
        value = (
            w**3 * accelerations[0]
            + 3 * w**2 * u * accelerations[1]
            + 3 * w * u**2 * accelerations[2]
            + u**3 * accelerations[3]
        )
        largest = np.maximum(largest, np.abs(value))
    return largest, largest_jerk
