"""What joint_trajectory_controller makes of the guard's messages: the signal that the arm receives.

The rules are those of ros2_controllers' `Trajectory::sample`, with positions, velocities and
accelerations given: a quintic from point to point, the state last commanded before the first point
that lies in the future, and the last point after the end. A trajectory takes the place of the one
before it at the first update after it arrived, and its points stand at absolute times.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.nanoseconds import NANOSECONDS

CONTROLLER_RATE_HZ = 1000


@dataclass(frozen=True)
class _Delivery:
    at_ns: int
    start_ns: int
    motion: CommandedMotion


class ControllerModel:
    """Follows motions as they arrive; ask it in the order of time."""

    def __init__(self, joints: np.ndarray) -> None:
        """joints: [n] rad, where the arm stands."""
        self._state = np.stack([joints, np.zeros_like(joints), np.zeros_like(joints)])
        self._state_ns = 0
        self._waiting: list[_Delivery] = []
        self._following: tuple[int, CommandedMotion] | None = None

    def deliver(self, at_ns: int, start_ns: int, motion: CommandedMotion) -> None:
        """Let a motion arrive at a time; start_ns: when its tick 0 is."""
        self._waiting.append(_Delivery(at_ns, start_ns, motion))
        self._waiting.sort(key=lambda delivery: delivery.at_ns)

    def update(self, now_ns: int) -> np.ndarray:
        """Return the state [3, n] that the arm is commanded at this update."""
        while self._waiting and self._waiting[0].at_ns <= now_ns:
            arrived = self._waiting.pop(0)
            self._following = arrived.start_ns, self._joined(arrived)
        if self._following is not None:
            start_ns, motion = self._following
            self._state = motion.at((now_ns - start_ns) / (motion.period_s * NANOSECONDS))
        self._state_ns = now_ns
        return self._state

    def _joined(self, arrived: _Delivery) -> CommandedMotion:
        """Return the motion, led by the state last commanded where it begins in the future."""
        motion = arrived.motion
        tick = (self._state_ns - arrived.start_ns) / (motion.period_s * NANOSECONDS)
        if motion.ticks[0] <= tick:
            return motion
        return CommandedMotion(
            motion.period_s,
            np.concatenate([[tick], motion.ticks]),
            np.concatenate([self._state[None], motion.states]),
        )


def sampled_jerk(positions: np.ndarray, period_s: float) -> np.ndarray:
    """Return the third difference [T - 3, n] of positions [T, n], over the period cubed: rad/s^3.

    Of samples of a smooth motion it is a weighted mean of the jerk, and never above its peak.
    """
    return np.diff(positions, n=3, axis=0) / period_s**3
