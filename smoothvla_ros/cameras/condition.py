"""Whether a camera delivers what it should, and what is said of it."""

from __future__ import annotations

from enum import Enum, auto

from smoothvla_ros.cameras.capture import CaptureStatus

STALE_S = 0.5
# A slow camera's image may be older: so many of its periods.
_STALE_PERIODS = 3.0
# Of the rate that is wanted; a camera that is above it is not slow.
_SLOW_SHARE = 0.8


class Condition(Enum):
    """How a camera does."""

    GOOD = auto()
    SLOW = auto()
    SILENT = auto()


def condition_of(status: CaptureStatus, wanted_hz: float) -> tuple[Condition, str]:
    """Return how a camera does that is to deliver `wanted_hz`, and one line about it.

    A rate that is not known yet is not slow.
    """
    if status.problem:
        return Condition.SILENT, status.problem
    if status.age_s > max(STALE_S, _STALE_PERIODS / wanted_hz):
        return Condition.SILENT, 'no image for a while'
    if status.rate_hz < _SLOW_SHARE * wanted_hz:
        return Condition.SLOW, f'{status.rate_hz:.0f} Hz of {wanted_hz:g}'
    return Condition.GOOD, 'images'
