"""Movements between rests, each with its own figures, found while the recording streams by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from smoothvla_ros.evaluation.bags.readings import Readings
from smoothvla_ros.evaluation.bags.settings import AnalysisSettings
from smoothvla_ros.smoothness.running_magnitudes import Magnitudes
from smoothvla_ros.smoothness.speed_profile import SpeedProfile


@dataclass(frozen=True)
class Segment:
    """One movement. Jerk as in `Magnitudes.of`: rad/s^3 a joint, m/s^3 and rad/s^3 of the tool.

    start_s, end_s: s since the recording began.  joints: in the order of the recording's joints.
    tool: translation and rotation, or None without a model.
    ldlj, sparc: of the tool's speed, without a model of the joints'; NaN where there is none.
    """

    start_s: float
    end_s: float
    joints: tuple[dict[str, float], ...]
    tool: tuple[dict[str, float], dict[str, float]] | None
    ldlj: float
    sparc: float

    @property
    def duration_s(self) -> float:
        """From the first to the last reading, s."""
        return self.end_s - self.start_s

    @property
    def mean_jerk(self) -> float:
        """Mean jerk of the tool in m/s^3; without a model the mean over joints, rad/s^3."""
        if self.tool is not None:
            return self.tool[0]['mean']
        return float(np.mean([joint['mean'] for joint in self.joints]))

    def as_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Return the figures under the names of `--json`."""
        return {
            'start_s': self.start_s,
            'end_s': self.end_s,
            'duration_s': self.duration_s,
            'joints': dict(zip(names, self.joints, strict=True)),
            'tool': None
            if self.tool is None
            else {'translation': self.tool[0], 'rotation': self.tool[1]},
            'ldlj': self.ldlj,
            'sparc': self.sparc,
        }


class Segmenter:
    """Cuts readings into segments: at rests, and where a run of samples ends."""

    def __init__(self, settings: AnalysisSettings, period_s: float) -> None:
        """Take where a rest begins, and the time between two readings."""
        self._settings = settings
        self._period_s = period_s
        self._open: _Movement | None = None
        self._pause: _Movement | None = None
        self._run = -1
        self.segments: list[Segment] = []

    def add(self, readings: Readings) -> None:
        """Take the next readings."""
        moving = np.abs(readings.joint_speed).max(axis=1, initial=0.0) > self._settings.rest_speed
        changes = (np.diff(moving) != 0) | (np.diff(readings.runs) != 0)
        bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(readings)]
        for start, stop in pairwise(bounds):
            if start == stop:
                continue
            if readings.runs[start] != self._run:
                self.finish()
                self._run = int(readings.runs[start])
            self._stretch(readings[start:stop], bool(moving[start]))

    def finish(self) -> None:
        """Close the segment that is open."""
        movement, self._open, self._pause = self._open, None, None
        if movement is not None and movement.duration_s >= self._settings.least_segment_s:
            self.segments.append(movement.segment())

    def _stretch(self, readings: Readings, moving: bool) -> None:
        if moving:
            if self._open is None:
                self._open = _Movement(self._period_s)
            elif self._pause is not None:
                self._open.merge(self._pause)
            self._pause = None
            self._open.add(readings)
        elif self._open is not None:
            if self._pause is None:
                self._pause = _Movement(self._period_s)
            self._pause.add(readings)
            if self._pause.duration_s + self._period_s >= self._settings.rest_s:
                self.finish()


class _Movement:
    """Readings in a row, in constant memory but for a speed a reading."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._start_s = self._end_s = math.nan
        self._joints = Magnitudes(0)
        self._tool: Magnitudes | None = None
        self._jerk = Magnitudes(1)
        self._peak_speed = 0.0
        self._speeds = SpeedProfile(period_s)

    @property
    def duration_s(self) -> float:
        return self._end_s - self._start_s

    def add(self, readings: Readings) -> None:
        if math.isnan(self._start_s):
            self._start_s = float(readings.time_s[0])
            self._joints = Magnitudes(readings.joint_jerk.shape[1])
            self._tool = None if readings.tool_jerk is None else Magnitudes(2)
        self._end_s = float(readings.time_s[-1])
        self._joints.add(readings.joint_jerk)
        if self._tool is not None and readings.tool_jerk is not None:
            self._tool.add(readings.tool_jerk)
        self._jerk.add(readings.jerk[:, None])
        speed = readings.speed
        self._peak_speed = max(self._peak_speed, float(speed.max()))
        self._speeds.add(speed)

    def merge(self, later: _Movement) -> None:
        self._end_s = later._end_s
        self._joints.merge(later._joints)
        if self._tool is not None and later._tool is not None:
            self._tool.merge(later._tool)
        self._jerk.merge(later._jerk)
        self._peak_speed = max(self._peak_speed, later._peak_speed)
        self._speeds.merge(later._speeds)

    def segment(self) -> Segment:
        tool = None if self._tool is None else (self._tool.of(0), self._tool.of(1))
        ldlj = self._jerk.log_dimensionless_jerk(0, self._period_s, self._peak_speed)
        sparc = self._speeds.spectral_arc_length()
        return Segment(self._start_s, self._end_s, self._joints.every(), tool, ldlj, sparc)
