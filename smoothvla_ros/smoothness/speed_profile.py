"""The speeds of a motion that goes on, for the spectral arc length (SPARC) of it so far."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from smoothvla_ros.smoothness.spectral import CUTOFF_HZ, spectral_arc_length

# A single movement does not last longer; its spectrum would cost memory without end.
LONGEST_SHAPE_S = 600.0


class SpeedProfile:
    """Speeds of the tool point, one a reading, of an unbroken run of samples."""

    def __init__(self, period_s: float, span_s: float = math.inf) -> None:
        """Start with nothing.

        period_s: time between two readings.  span_s: the last so many seconds are kept; infinite:
        everything, and what lasts longer than LONGEST_SHAPE_S has no spectral arc length.
        """
        self._period_s = period_s
        self._keeps_all = span_s > LONGEST_SHAPE_S
        self._most = max(2, round(min(span_s, LONGEST_SHAPE_S) / period_s))
        self.clear()

    def __len__(self) -> int:
        """Return how many readings are kept."""
        return len(self._speeds)

    def clear(self) -> None:
        """Forget everything: what comes does not follow on what came."""
        self._speeds: deque[float] = deque(maxlen=self._most)
        self._is_too_long = False

    def add(self, speeds: Iterable[float]) -> None:
        """Take the speeds of the next readings, m/s."""
        for speed in speeds:
            self._is_too_long = self._keeps_all and len(self._speeds) == self._most
            self._speeds.append(speed)

    def merge(self, later: SpeedProfile) -> None:
        """Take what follows on this."""
        self.add(later._speeds)
        self._is_too_long |= later._is_too_long

    def spectral_arc_length(self, after: Iterable[float] = ()) -> float:
        """Return SPARC of what is kept and of the speeds that come `after`, no unit.

        NaN for fewer than two readings, fewer than twenty a second, a tool that never moves, or a
        motion that is too long.
        """
        if self._is_too_long or 2 * CUTOFF_HZ * self._period_s > 1 + 1e-9:
            return math.nan
        speeds = np.array([*self._speeds, *after])
        return spectral_arc_length(speeds, self._period_s) if len(speeds) > 1 else math.nan
