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
        position, velocity, acceleration = self._start
        elapsed = np.broadcast_to(times_s[:, None], (len(times_s), len(position)))
        states = np.empty((len(times_s), 3, len(position)))
        p, v, a = position, velocity, acceleration
        result_p = np.broadcast_to(p, elapsed.shape).copy()
        result_v, result_a = np.broadcast_to(v, elapsed.shape), np.broadcast_to(a, elapsed.shape)
        begin = np.zeros_like(position)
        for duration, jerk in zip(self._times, self._jerks, strict=True):
            t = np.clip(elapsed - begin, 0.0, duration)
            inside = elapsed >= begin
            result_p = np.where(inside, p + t * (v + t * (a / 2 + t * jerk / 6)), result_p)
            result_v = np.where(inside, v + t * (a + t * jerk / 2), result_v)
            result_a = np.where(inside, a + t * jerk, result_a)
            p = p + duration * (v + duration * (a / 2 + duration * jerk / 6))
            v = v + duration * (a + duration * jerk / 2)
            a = a + duration * jerk
            begin = begin + duration
        over = elapsed >= begin
        states[:, POSITION] = self._direction * np.where(over, p, result_p)
        states[:, VELOCITY] = self._direction * np.where(over, 0.0, result_v)
        states[:, ACCELERATION] = self._direction * np.where(over, 0.0, result_a)
        return states
