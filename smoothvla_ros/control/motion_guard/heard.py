"""What the guard last heard of the arm and of the policy, and how long ago."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

# A joint without a velocity has that of its positions over at least so long, or an encoder's step
# would be a speed, and at most, or it would not be one of now.
_LEAST_SPAN_NS, _LONGEST_SPAN_NS = 20_000_000, 200_000_000


@dataclass(frozen=True)
class Measured:
    """The newest joint state: when it was stamped and received, joints [n] rad.

    velocities: [n] rad/s, NaN where a joint's is not known.
    """

    stamp_ns: int
    received_ns: int
    joints: np.ndarray
    velocities: np.ndarray

    @property
    def speed(self) -> float:
        """Of the fastest joint whose velocity is known, rad/s; 0 where none is."""
        known = np.abs(self.velocities[~np.isnan(self.velocities)])
        return float(known.max(initial=0.0))


class Heard:
    """The newest joint state and heartbeat. Times are of the guard's clock, ns."""

    def __init__(self, joints: int) -> None:
        """joints: how many a joint state has."""
        self._joints = joints
        self.measured: Measured | None = None
        self._before: deque[tuple[int, np.ndarray]] = deque()
        self._heartbeat_ns: int | None = None

    def hear_joints(
        self, now_ns: int, stamp_ns: int, joints: np.ndarray, velocities: np.ndarray | None = None
    ) -> None:
        """Take a joint state; one that is not finite, or not of this arm, is not heard."""
        if joints.shape != (self._joints,) or not np.isfinite(joints).all():
            return
        if velocities is None or velocities.shape != joints.shape:
            velocities = np.full(joints.shape, np.nan)
        moved = self._moved(stamp_ns, joints)
        velocities = np.where(np.isnan(velocities), moved, velocities)
        self.measured = Measured(stamp_ns, now_ns, joints, velocities)

    def _moved(self, stamp_ns: int, joints: np.ndarray) -> np.ndarray:
        """Return the joints' mean velocities of late [n] rad/s; NaN where nothing is of late."""
        before = self._before
        if before and not 0 <= stamp_ns - before[-1][0] <= _LONGEST_SPAN_NS:
            before.clear()
        while len(before) > 1 and stamp_ns - before[1][0] >= _LEAST_SPAN_NS:
            before.popleft()
        span_ns = stamp_ns - before[0][0] if before else 0
        first = before[0][1] if before else joints
        before.append((stamp_ns, joints))
        if span_ns < _LEAST_SPAN_NS:
            return np.full(joints.shape, np.nan)
        return (joints - first) / span_ns * 1e9

    def hear_heartbeat(self, now_ns: int) -> None:
        """Take a heartbeat of the policy."""
        self._heartbeat_ns = now_ns

    def joints_age_s(self, now_ns: int) -> float:
        """Return the age of the joint state, s; infinite before the first."""
        # Received later than now: the clock went back, and this one would look fresh for as long.
        if self.measured is None or self.measured.received_ns > now_ns:
            return math.inf
        # Whichever is older: a stamp that stands still is as bad as silence.
        oldest = min(self.measured.stamp_ns, self.measured.received_ns)
        return (now_ns - oldest) * 1e-9

    def heartbeat_age_s(self, now_ns: int) -> float:
        """Return the age of the heartbeat, s; infinite before the first."""
        if self._heartbeat_ns is None or self._heartbeat_ns > now_ns:
            return math.inf
        return (now_ns - self._heartbeat_ns) * 1e-9
