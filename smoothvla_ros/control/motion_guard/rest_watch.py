"""Whether an arm moves while nothing commands it to: its controller no longer holds it."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.nanoseconds import NANOSECONDS

# Commands of a rest differ by less, even where a policy goes on asking for nothing.
_STILL_RAD = 0.001
# What swings or creeps after a motion has come to rest by then.
_RESTS_AFTER_NS = NANOSECONDS // 2


class RestWatch:
    """Compares an arm at rest with where it was when it came to rest. Not thread-safe.

    Not with its command: an arm that pushes against something rests beside it.
    """

    def __init__(self) -> None:
        self._commanded: np.ndarray | None = None
        self._measured: np.ndarray | None = None
        self._since_ns = 0

    def forget(self) -> None:
        """Begin anew, as where somebody else commands."""
        self._commanded = self._measured = None

    def moved_rad(self, stamp_ns: int, commanded: np.ndarray, measured: np.ndarray) -> float:
        """Return how far the arm has moved at rest, the largest of a joint; 0 while it is led.

        commanded, measured: [n] rad, both at `stamp_ns`.
        """
        still = self._commanded is not None and (
            stamp_ns >= self._since_ns and np.abs(commanded - self._commanded).max() <= _STILL_RAD
        )
        if not still:
            self._commanded, self._measured, self._since_ns = commanded, None, stamp_ns
        if stamp_ns - self._since_ns < _RESTS_AFTER_NS:
            return 0.0
        if self._measured is None:
            self._measured = measured
        return float(np.abs(measured - self._measured).max())
