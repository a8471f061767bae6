"""The shortest stop of every joint under its own limits, in closed form."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.control.motion_guard.motion import ACCELERATION, POSITION, VELOCITY

# Towards the peak, at the peak, back from it, at rest.
_PHASES = 4


class Stop:
    """From a state to rest: jerk, constant acceleration, jerk; each joint as fast as it can.

    With d the direction of the deceleration, the peak p of the acceleration follows from the
    balance of velocity: p^2 = a^2 / 2 - j v (in axes of d), cut at the limit, where a phase of
    constant acceleration makes up for the rest.
    """

    def __init__(self, state: np.ndarray, acceleration: np.ndarray, jerk: np.ndarray) -> None:
        """state: [3, n]; acceleration, jerk: limits [n]."""
        position, velocity, start = state
        # What is left of the velocity once the present acceleration is taken away.
        rest = velocity + start * np.abs(start) / (2 * jerk)
        direction = np.where(rest > 0, -1.0, 1.0)
        v, a = direction * velocity, direction * start
        free = np.sqrt(np.maximum(a * a / 2 - jerk * v, 0.0))
        peak = np.maximum(np.minimum(free, acceleration), a)
        missing = -v - (2 * peak * peak - a * a) / (2 * jerk)
        hold = np.zeros_like(peak)
        np.divide(np.maximum(missing, 0.0), peak, out=hold, where=peak > 0)
        joints = len(jerk)
        # Of each phase: how long it lasts, and the acceleration and velocity that it begins with.
        lasting = np.empty((_PHASES - 1, joints))
        lasting[0], lasting[1], lasting[2] = (peak - a) / jerk, hold, peak / jerk
        accelerations = np.zeros((_PHASES, joints))
        accelerations[0], accelerations[1:3] = a, peak
        velocities = np.zeros((_PHASES, joints))
        velocities[0] = v
        velocities[1] = v + lasting[0] * (a + peak) / 2
        velocities[2] = velocities[1] + hold * peak
        moved = lasting * (
            velocities[:-1] + lasting * (2 * accelerations[:-1] + accelerations[1:]) / 6
        )
        # When each begins, and its polynomial of the position from then on, highest power first.
        phases = np.zeros((_PHASES, 5, joints))
        lasting.cumsum(axis=0, out=phases[1:, 0])
        third = direction * jerk / 6
        phases[0, 1], phases[2, 1] = third, -third
        phases[:, 2] = accelerations * (direction / 2)
        phases[:, 3] = velocities * direction
        phases[0, 4] = position
        phases[1:, 4] = position + direction * moved.cumsum(axis=0)
        self._phases = phases
        self._columns = np.arange(joints)
        self.duration_s = float(phases[-1, 0].max())

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the states [K, 3, n] at times [K] after the start; at rest from duration_s on."""
        times = times_s[:, None]
        first, second, third = self._phases[1:, 0]
        phase = (times >= first).astype(np.intp)
        phase += times >= second
        phase += times >= third
        begins, cubic, square, linear, constant = self._phases[phase, :, self._columns].T
        t = times.T - begins
        states = np.empty((len(times_s), 3, len(self._columns)))
        bend = t * cubic
        states[:, POSITION] = (constant + t * (linear + t * (square + bend))).T
        states[:, VELOCITY] = (linear + t * (2 * square + 3 * bend)).T
        states[:, ACCELERATION] = (2 * square + 6 * bend).T
        return states
