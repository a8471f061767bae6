"""Levels of an alarm that does not flutter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError

NOISE_MARGIN = 5.0


class AlarmLevel(IntEnum):
    """The levels of JerkState, with its numbers."""

    OK = 0
    WARNING = 1
    ALARM = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class AlarmSettings:
    """Two thresholds and how the level comes down again; thresholds in the unit of the value."""

    warning: float = setting(description='jerk from which the level is WARNING', minimum=0.0)
    alarm: float = setting(description='jerk from which the level is ALARM', minimum=0.0)
    release: float = setting(
        0.5,
        'share of a threshold below which its level may end',
        minimum=0.0,
        maximum=1.0,
    )
    hold_s: float = setting(
        0.3, 'time in s that the value must stay below before the level ends', minimum=0.0
    )

    def __post_init__(self) -> None:
        """Raise UserError for values out of range or an alarm below its warning."""
        validate(self, 'jerk alarm')
        if self.alarm < self.warning:
            raise UserError(
                f'jerk alarm: alarm={self.alarm} lies below warning={self.warning}; raise it'
            )

    def require_above_noise(self, noise_floor: float) -> None:
        """Raise UserError where a threshold is less than five times the estimator's noise.

        noise_floor: in the unit of the thresholds, as `tool_noise_floor` gives it.
        """
        if self.warning < NOISE_MARGIN * noise_floor:
            raise UserError(
                f'jerk alarm: warning={self.warning} is below {NOISE_MARGIN:g} times the noise '
                f'floor of {noise_floor:.3g}; raise it or widen the window'
            )


class Alarm:
    """The level of a value over time: up at once, down only when it has stayed well below."""

    def __init__(self, settings: AlarmSettings) -> None:
        """Start at UNKNOWN, until the first value."""
        self._settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything: UNKNOWN until the next value."""
        self._level = AlarmLevel.UNKNOWN
        self._below_since: float | None = None

    @property
    def level(self) -> AlarmLevel:
        """The level after the newest value."""
        return self._level

    def update(self, stamp_s: float, value: float) -> AlarmLevel:
        """Take the value at a time and return the level.

        A value that is not finite makes the level UNKNOWN, and the next one starts afresh.
        stamp_s: s, rising.
        """
        if not math.isfinite(value):
            self.reset()
            return self._level
        reached = self._reached(value)
        if self._level is AlarmLevel.UNKNOWN or reached >= self._level:
            self._level = reached
            self._below_since = None
        elif value >= self._settings.release * self._threshold(self._level):
            self._below_since = None
        else:
            if self._below_since is None:
                self._below_since = stamp_s
            if stamp_s - self._below_since >= self._settings.hold_s:
                self._level = AlarmLevel(self._level - 1)
                self._below_since = None
        return self._level

    def _reached(self, value: float) -> AlarmLevel:
        if value >= self._settings.alarm:
            return AlarmLevel.ALARM
        return AlarmLevel.WARNING if value >= self._settings.warning else AlarmLevel.OK

    def _threshold(self, level: AlarmLevel) -> float:
        return self._settings.alarm if level is AlarmLevel.ALARM else self._settings.warning
