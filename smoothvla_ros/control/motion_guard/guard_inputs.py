"""What the guard last heard of the arm and of the policy, and how long ago."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.control.motion_guard.recent_motion import RecentMotion
from smoothvla_ros.nanoseconds import NANOSECOND_S


@dataclass(frozen=True)
class Measured:
    """The newest joint state: when it was stamped, joints [n] rad.

    received_ns: when this stamp was heard first.  speed: rad/s, of the fastest joint, by what its
    driver says or by where it was, whichever is more; 0 where neither is known.
    """

    stamp_ns: int
    received_ns: int
    joints: np.ndarray
    speed: float = 0.0


class GuardInputs:
    """The newest joint state and heartbeat. Times are of the guard's clock, ns."""

    def __init__(self, joints: int, max_ahead_s: float) -> None:
        """joints: how many a joint state has.  max_ahead_s: most that it may be of the future."""
        self._joints = joints
        self._max_ahead_s = max_ahead_s
        self.ahead_s = 0.0
        """How far the newest joint state is of the future, where it is not heard for that; or 0."""
        self.measured: Measured | None = None
        self._recent = RecentMotion()
        self._heartbeat_ns: int | None = None

    def hear_joints(
        self, now_ns: int, stamp_ns: int, joints: np.ndarray, velocities: np.ndarray | None = None
    ) -> bool:
        """Take a joint state, unless it is not finite, of this arm, or of now; return whether."""
        if joints.shape != (self._joints,) or not np.isfinite(joints).all():
            return False
        ahead_s = (stamp_ns - now_ns) * NANOSECOND_S
        # Taken, it would look fresh for as long as it is ahead, whatever became of its driver.
        self.ahead_s = ahead_s if ahead_s > self._max_ahead_s else 0.0
        if self.ahead_s:
            return False
        received_ns = now_ns
        if self.measured is not None and self.measured.stamp_ns == stamp_ns:
            # The same sample again: it does not become younger by that.
            received_ns = self.measured.received_ns
        moved = np.abs(self._recent.add(stamp_ns, joints))
        if velocities is not None and velocities.shape == joints.shape:
            moved = np.fmax(moved, np.abs(velocities))
        speed = float(np.nan_to_num(moved).max(initial=0.0))
        self.measured = Measured(stamp_ns, received_ns, joints, speed)
        return True

    def hear_heartbeat(self, now_ns: int) -> None:
        """Take a heartbeat of the policy."""
        self._heartbeat_ns = now_ns

    def joints_age_s(self, now_ns: int) -> float:
        """Return the age of the joint state, s; infinite before the first."""
        # Received later than now: the clock went back, and this one would look fresh for as long.
        if self.measured is None or self.measured.received_ns > now_ns:
            return math.inf
        # Whichever is older: one that was long on its way, and one whose stamp stands still.
        oldest = min(self.measured.stamp_ns, self.measured.received_ns)
        return (now_ns - oldest) * NANOSECOND_S

    def heartbeat_age_s(self, now_ns: int) -> float:
        """Return the age of the heartbeat, s; infinite before the first."""
        if self._heartbeat_ns is None or self._heartbeat_ns > now_ns:
            return math.inf
        return (now_ns - self._heartbeat_ns) * NANOSECOND_S
