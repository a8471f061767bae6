"""Mean, RMS and peak of a tool's jerk, and its shape (LDLJ), as it goes on: in constant memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.smoothness.running_magnitudes import Magnitudes

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


class _Stretch:
    """The norms of translation and rotation; `instants` has those that were passed over."""

    def __init__(self) -> None:
        self.norms = Magnitudes(2)
        self.instants = 0
        self.peak_speed = 0.0

    def add(self, norms: np.ndarray, speed: float) -> None:
        self.norms.add(norms[None])
        self.instants += 1
        self.peak_speed = max(self.peak_speed, speed)


def _together(parts: Iterable[_Stretch]) -> _Stretch:
    whole = _Stretch()
    for part in parts:
        whole.norms.merge(part.norms)
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
        self._full: deque[_Stretch] = deque(maxlen=_PARTS - 1)
        self._full_together, self._newest = _Stretch(), _Stretch()

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
            self._full_together, self._newest = _together(self._full), _Stretch()

    def result(self, sparc: float = math.nan) -> EpisodeJerk:
        """Return the numbers over everything added, or over the span.

        sparc: which is not a sum.
        """
        whole = _together((self._full_together, self._newest))
        if not whole.norms.count:
            return EpisodeJerk.unknown()
        translation, rotation = whole.norms.every()
        return EpisodeJerk(
            estimates=whole.norms.count,
            mean_jerk=translation['mean'],
            rms_jerk=translation['rms'],
            peak_jerk=translation['peak'],
            mean_angular_jerk=rotation['mean'],
            rms_angular_jerk=rotation['rms'],
            peak_angular_jerk=rotation['peak'],
            ldlj=whole.norms.log_dimensionless_jerk(0, self._period_s, whole.peak_speed),
            sparc=sparc,
        )
