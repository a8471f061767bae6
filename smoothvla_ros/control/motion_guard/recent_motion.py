"""How fast joints moved of late, by where they were: for an arm whose driver says no velocities."""

from __future__ import annotations

from collections import deque

import numpy as np

from smoothvla_ros.nanoseconds import NANOSECONDS

# Over less, a step of a coarse encoder (4096 a turn) would be a speed: over this it is 0.015 rad/s.
_SPAN_NS = 100_000_000
# Positions before a longer silence say nothing of now.
_LONGEST_GAP_NS = 300_000_000
_APART_NS = 5_000_000


class RecentMotion:
    """Joint positions of the last moments; their number does not depend on the stamps."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, np.ndarray]] = deque()
        self._newest_ns = 0
        self._velocities: np.ndarray | None = None

    def add(self, stamp_ns: int, joints: np.ndarray) -> np.ndarray:
        """Take joint positions [n] rad; return the mean velocities of late [n] rad/s.

        NaN where they were heard of for less than a tenth of a second.
        """
        kept, unknown = self._kept, np.full(joints.shape, np.nan)
        if kept and abs(stamp_ns - self._newest_ns) > _LONGEST_GAP_NS:
            kept.clear()
        elif kept and stamp_ns <= self._newest_ns:
            return unknown if self._velocities is None else self._velocities
        self._newest_ns = stamp_ns
        while len(kept) > 1 and stamp_ns - kept[1][0] >= _SPAN_NS:
            kept.popleft()
        if not kept or stamp_ns - kept[-1][0] >= _APART_NS:
            kept.append((stamp_ns, joints))
        first_ns, first = kept[0]
        span_ns = stamp_ns - first_ns
        self._velocities = (joints - first) / span_ns * NANOSECONDS if span_ns >= _SPAN_NS else None
        return unknown if self._velocities is None else self._velocities
