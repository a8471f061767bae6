"""Running mean, RMS and peak of a tool's jerk in constant memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EpisodeJerk:
    """The jerk of an episode so far; NaN where no estimate was possible yet.

    estimates: number of samples with a jerk.  Jerk in m/s^3, angular jerk in rad/s^3.
    """

    estimates: int
    mean_jerk: float
    rms_jerk: float
    peak_jerk: float
    mean_angular_jerk: float
    rms_angular_jerk: float
    peak_angular_jerk: float


class JerkAccumulator:
    """Adds up the norms of tool jerks, translation and rotation apart."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._count = 0
        self._sum = np.zeros(2)
        self._squares = np.zeros(2)
        self._peak = np.zeros(2)

    def add(self, tool_jerk: np.ndarray) -> None:
        """Take one jerk [6]."""
        norms = np.array([np.linalg.norm(tool_jerk[:3]), np.linalg.norm(tool_jerk[3:])])
        self._count += 1
        self._sum += norms
        self._squares += norms * norms
        self._peak = np.maximum(self._peak, norms)

    def result(self) -> EpisodeJerk:
        """Return the numbers over everything added."""
        if not self._count:
            return EpisodeJerk(0, *[math.nan] * 6)
        mean = self._sum / self._count
        rms = np.sqrt(self._squares / self._count)
        (m0, m1), (r0, r1), (p0, p1) = mean.tolist(), rms.tolist(), self._peak.tolist()
        return EpisodeJerk(self._count, m0, r0, p0, m1, r1, p1)
