"""Whether it is the policy that is rough, or the places where one chunk takes over from another."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from smoothvla_ros.smoothness.episode_jerk import EpisodeJerk, JerkAccumulator

# A jump of the command spreads over one window of the estimate; most of it lies in the middle half.
_SHARE_OF_WINDOW = 0.25
_REMEMBERED = 64


class SeamJerk:
    """The jerk of an episode, or of its latest part, at its seams and between them, apart."""

    def __init__(
        self, window_s: float, period_s: float = math.nan, span_s: float = math.inf
    ) -> None:
        """Take the estimator's window, s, and how much of the latest motion counts.

        period_s: from one jerk that is added to the next, at a seam or not.  span_s: s, as for
        `JerkAccumulator`; infinite: everything since `reset`.
        """
        self._near_s = _SHARE_OF_WINDOW * window_s
        self._span = period_s, span_s
        self.reset()

    def reset(self) -> None:
        """Begin a new episode."""
        self._seams: deque[float] = deque(maxlen=_REMEMBERED)
        self._at, self._between = JerkAccumulator(*self._span), JerkAccumulator(*self._span)

    def chunk_begins(self, stamp_s: float) -> None:
        """Note that a chunk takes over at this time, s; the first of an episode is no seam."""
        self._seams.append(stamp_s)

    def add(self, stamp_s: float, tool_jerk: np.ndarray) -> None:
        """Take the jerk [6] at a time, s; seams until half a window later must be known."""
        near = any(abs(stamp_s - seam) <= self._near_s for seam in self._seams)
        here, elsewhere = (self._at, self._between) if near else (self._between, self._at)
        here.add(tool_jerk)
        # Seams are rare: their span is one of time, not of so many of them.
        elsewhere.pass_over()

    @property
    def at(self) -> EpisodeJerk:
        """The jerk within a quarter of a window from a seam."""
        return self._at.result()

    @property
    def between(self) -> EpisodeJerk:
        """The jerk everywhere else."""
        return self._between.result()
