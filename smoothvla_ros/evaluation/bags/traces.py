"""What is drawn of a recording, however long it is: a bounded number of points."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.evaluation.bags.readings import Readings

_BINS = 2048
_PLACES = 2048
_CANDIDATES = 64
_APART_S = 1.0


class Envelope:
    """The greatest absolute value of several columns in equal stretches of time.

    It begins with two readings a stretch, so that none is empty where a stamp is a little early;
    where a recording outgrows the room, stretches are joined two by two. A peak never disappears.
    """

    def __init__(self, columns: int, period_s: float) -> None:
        """Take the number of columns and the time between two readings, s."""
        self._width_s = 2 * period_s
        self._values = np.full((2 * _BINS, columns), np.nan)
        self._used = 0

    def add(self, time_s: np.ndarray, values: np.ndarray) -> None:
        """Take values [K, columns] at [K] s, not before zero."""
        if not len(time_s):
            return
        while (last := int(time_s.max() / self._width_s)) >= len(self._values):
            pairs = self._values.reshape(_BINS, 2, -1)
            self._values = np.full_like(self._values, np.nan)
            self._values[:_BINS] = np.fmax(pairs[:, 0], pairs[:, 1])
            self._width_s *= 2
            self._used = (self._used + 1) // 2
        np.fmax.at(self._values, (time_s / self._width_s).astype(np.int64), np.abs(values))
        self._used = max(self._used, last + 1)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the middles of the stretches [B] s and the values [B, columns], NaN for none."""
        time = (np.arange(self._used) + 0.5) * self._width_s
        return time, self._values[: self._used]


class PathTrace:
    """The tool's path with the jerk on it, thinned out as it grows."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._points: list[np.ndarray] = []
        self._thinning = 1
        self._seen = 0
        self._greatest = 0.0

    def add(self, readings: Readings) -> None:
        """Take the readings that have a position."""
        if readings.tool_position is None or readings.tool_jerk is None:
            return
        for run, position, jerk in zip(
            readings.runs, readings.tool_position, readings.tool_jerk[:, 0], strict=True
        ):
            self._greatest = max(self._greatest, float(jerk))
            if np.isnan(position[0]):
                continue
            if self._seen % self._thinning == 0:
                self._points.append(np.array([*position, self._greatest, run]))
                self._greatest = 0.0
            self._seen += 1
        while len(self._points) > _PLACES:
            odd = self._points[1::2]
            self._points = self._points[::2]
            for kept, dropped in zip(self._points, odd, strict=False):
                kept[3] = max(kept[3], dropped[3])
            self._thinning *= 2

    def points(self) -> np.ndarray:
        """Return [P, 5]: position m, greatest jerk since the point before m/s^3, run."""
        return np.array(self._points).reshape(-1, 5)


class WorstMoments:
    """The greatest jerks of a recording, at least a second apart."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._rows: list[tuple[float, float, float, int]] = []

    def add(self, readings: Readings, joint_limits: np.ndarray) -> None:
        """Take readings; the joint named is the one nearest to its limit [n] rad/s^3."""
        jerk = readings.jerk
        second = np.floor(readings.time_s)
        for start in np.unique(second):
            inside = np.flatnonzero(second == start)
            at = inside[np.argmax(jerk[inside])]
            joint = int(np.argmax(np.abs(readings.joint_jerk[at]) / joint_limits))
            self._rows.append(
                (float(jerk[at]), float(readings.time_s[at]), float(readings.stamps_s[at]), joint)
            )
        self._rows = sorted(self._rows, reverse=True)[:_CANDIDATES]

    def greatest(self, count: int) -> list[tuple[float, float, float, int]]:
        """Return (jerk, time s, stamp s, column of the joint) of the worst, greatest first."""
        chosen: list[tuple[float, float, float, int]] = []
        for row in self._rows:
            if all(abs(row[1] - other[1]) >= _APART_S for other in chosen):
                chosen.append(row)
        return chosen[:count]
