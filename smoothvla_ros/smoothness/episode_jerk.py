"""Mean, RMS and peak of a tool's jerk, and its shape (LDLJ), as it goes on: in constant memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.smoothness.dimensionless import log_dimensionless_jerk_of

# Of which a moving span is made up: the oldest is dropped as a whole.
_PARTS = 20


@dataclass(frozen=True)
class EpisodeJerk:
    """The jerk of an episode so far; NaN where no estimate was possible yet.

    estimates: number of samples with a jerk.  Jerk in m/s^3, angular jerk in rad/s^3.
    ldlj, sparc: log dimensionless jerk and spectral arc length of the tool point: no unit, NaN for
    a tool that never moves.
    """

    estimates: int
    mean_jerk: float
    rms_jerk: float
    peak_jerk: float
    mean_angular_jerk: float
    rms_angular_jerk: float
    peak_angular_jerk: float
    ldlj: float
    sparc: float

    @classmethod
    def unknown(cls) -> EpisodeJerk:
        """Return the numbers of nothing."""
        return cls(0, *[math.nan] * 8)


class _Sums:
    """Of the norms of translation and rotation; `instants` has those that were passed over."""

    def __init__(self) -> None:
        self.count = self.instants = 0
        self.sum = np.zeros(2)
        self.squares = np.zeros(2)
        self.peak = np.zeros(2)
        self.peak_speed = 0.0

    def add(self, norms: np.ndarray, speed: float) -> None:
        self.count += 1
        self.instants += 1
        self.sum += norms
        self.squares += norms * norms
        self.peak = np.maximum(self.peak, norms)
        self.peak_speed = max(self.peak_speed, speed)


def _together(parts: Iterable[_Sums]) -> _Sums:
    whole = _Sums()
    for part in parts:
        whole.count += part.count
        whole.sum += part.sum
        whole.squares += part.squares
        whole.peak = np.maximum(whole.peak, part.peak)
        whole.peak_speed = max(whole.peak_speed, part.peak_speed)
    return whole


class JerkAccumulator:
    """Adds up the norms of tool jerks, translation and rotation apart."""

    def __init__(self, period_s: float = math.nan, span_s: float = math.inf) -> None:
        """Start with nothing.

        period_s: time between two jerks that are added, for LDLJ; NaN where they do not follow.
        span_s: the last so many seconds count (down to 5 % less, as they are dropped in parts);
        infinite: everything does.
        """
        self._period_s = period_s
        self._part = math.ceil(span_s / _PARTS / period_s) if math.isfinite(span_s) else 0
        self._full: deque[_Sums] = deque(maxlen=_PARTS - 1)
        self._full_together, self._newest = _Sums(), _Sums()

    def add(self, tool_jerk: np.ndarray, speed: float = 0.0) -> None:
        """Take one jerk [6] and, for LDLJ, the speed of the tool point there, m/s."""
        self._begin_part_when_due()
        norms = np.array([np.linalg.norm(tool_jerk[:3]), np.linalg.norm(tool_jerk[3:])])
        self._newest.add(norms, speed)

    def pass_over(self) -> None:
        """Let a period go by whose jerk belongs elsewhere: what came before grows older."""
        self._begin_part_when_due()
        self._newest.instants += 1

    def _begin_part_when_due(self) -> None:
        if self._part and self._newest.instants == self._part:
            self._full.append(self._newest)
            self._full_together, self._newest = _together(self._full), _Sums()

    def result(self, sparc: float = math.nan) -> EpisodeJerk:
        """Return the numbers over everything added, or over the span.

        sparc: which is not a sum.
        """
        whole = _together((self._full_together, self._newest))
        if not whole.count:
            return EpisodeJerk.unknown()
        (m0, m1) = (whole.sum / whole.count).tolist()
        (r0, r1) = np.sqrt(whole.squares / whole.count).tolist()
        (p0, p1) = whole.peak.tolist()
        ldlj = log_dimensionless_jerk_of(
            np.sqrt(whole.squares[:1]),
            self._period_s,
            whole.peak_speed,
            whole.count * self._period_s,
        )
        return EpisodeJerk(whole.count, m0, r0, p0, m1, r1, p1, ldlj, sparc)
