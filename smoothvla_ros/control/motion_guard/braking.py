"""The shortest stop of every joint under its own limits, in closed form."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.control.motion_guard.motion import ACCELERATION, POSITION, VELOCITY


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
        self._direction = np.where(rest > 0, -1.0, 1.0)
        v, a = self._direction * velocity, self._direction * start
        free = np.sqrt(np.maximum(a**2 / 2 - jerk * v, 0.0))
        peak = np.maximum(np.minimum(free, acceleration), a)
        gained = (2 * peak**2 - a**2) / (2 * jerk)
        with np.errstate(divide='ignore', invalid='ignore'):
            hold = np.where(peak > 0, np.maximum(-v - gained, 0.0) / peak, 0.0)
        self._times = np.stack([(peak - a) / jerk, hold, peak / jerk])
        self._jerks = np.stack([jerk, np.zeros_like(jerk), -jerk])
        self._start = np.stack([self._direction * position, v, a])
        self.duration_s = float(self._times.sum(axis=0).max())

    def at(self, times_s: np.ndarray) -> np.ndarray:
        """Return the states [K, 3, n] at times [K] after the start; at rest from duration_s on."""
        remaining = np.repeat(times_s[:, None], self._start.shape[1], axis=1)
        p, v, a = self._start
        for duration, jerk in zip(self._times, self._jerks, strict=True):
            # Zero for who is not there yet, the whole phase for who is through.
            t = np.minimum(np.maximum(remaining, 0.0), duration)
            p = p + t * (v + t * (a / 2 + t * (jerk / 6)))
            v = v + t * (a + t * (jerk / 2))
            a = a + t * jerk
            remaining = remaining - duration
        moving = (remaining < 0.0) * self._direction
        states = np.empty((len(times_s), *self._start.shape))
        states[:, POSITION] = self._direction * p
        states[:, VELOCITY] = moving * v
        states[:, ACCELERATION] = moving * a
        return states
