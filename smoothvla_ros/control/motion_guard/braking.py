"""The shortest stop of every joint under its own limits, in closed form."""

from __future__ import annotations

import math

import numpy as np

from smoothvla_ros.control.motion_guard.motion import ACCELERATION, POSITION, VELOCITY

# Towards the peak, at the peak, back from it, at rest; of each when it begins, and its polynomial
# of the position from then on, highest power first.
_PHASES, _NUMBERS = 4, 5


class Stop:
    """From a state to rest: jerk, constant acceleration, jerk; each joint as fast as it can.

    With d the direction of the deceleration, the peak p of the acceleration follows from the
    balance of velocity: p^2 = a^2 / 2 - j v (in axes of d), cut at the limit, where a phase of
    constant acceleration makes up for the rest.
    """

    def __init__(self, state: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray) -> None:
        """state: [3, n]; acceleration, jerk: limits [n]."""
        joints = state.shape[1]
        # For so few joints numbers are twice as fast as arrays, and every tick makes a stop.
        numbers = [*state.tolist(), acceleration.tolist(), jerk.tolist()]
        phases = np.array([_phases(*joint) for joint in zip(*numbers, strict=True)])
        self._phases = phases.reshape(joints, _PHASES, _NUMBERS)
        self._joints = np.arange(joints)
        self.duration_s = float(self._phases[:, -1, 0].max())

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the states [K, 3, n] at times [K] after the start; at rest from duration_s on."""
        times = times_s[:, None]
        first, second, third = self._phases[:, 1:, 0].T
        phase = (times >= first).astype(np.intp)
        phase += times >= second
        phase += times >= third
        begins, cubic, square, linear, constant = self._phases[self._joints, phase].T
        t = times.T - begins
        states = np.empty((len(times_s), 3, len(self._joints)))
        bend = t * cubic
        states[:, POSITION] = (constant + t * (linear + t * (square + bend))).T
        states[:, VELOCITY] = (linear + t * (2 * square + 3 * bend)).T
        states[:, ACCELERATION] = (2 * square + 6 * bend).T
        return states


def _phases(
    position: float, velocity: float, start: float, most: float, jerk: float
) -> tuple[float, ...]:
    """Return `_NUMBERS` numbers of each phase of one joint's stop.

    start: the acceleration that it begins with.  most, jerk: its limits.
    """
    # What is left of the velocity once the present acceleration is taken away.
    rest = velocity + start * abs(start) / (2 * jerk)
    d = -1.0 if rest > 0.0 else 1.0
    v, a = d * velocity, d * start
    peak = max(min(math.sqrt(max(a * a / 2 - jerk * v, 0.0)), most), a)
    missing = -v - (2 * peak * peak - a * a) / (2 * jerk)
    rise, fall = (peak - a) / jerk, peak / jerk
    hold = missing / peak if missing > 0.0 and peak > 0.0 else 0.0
    risen = v + rise * (a + peak) / 2
    held = risen + hold * peak
    at_peak = rise * (v + rise * (2 * a + peak) / 6)
    from_peak = at_peak + hold * (risen + hold * peak / 2)
    at_rest = from_peak + fall * (held + fall * peak / 3)
    third, half = d * jerk / 6, d * peak / 2
    # fmt: off
    return (
        0.0, third, d * a / 2, d * v, position,
        rise, 0.0, half, d * risen, position + d * at_peak,
        rise + hold, -third, half, d * held, position + d * from_peak,
        rise + hold + fall, 0.0, 0.0, 0.0, position + d * at_rest,
    )
    # fmt: on
