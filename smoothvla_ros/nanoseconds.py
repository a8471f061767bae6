"""Time in whole nanoseconds, as clocks and the protocol count it, and in seconds."""

from __future__ import annotations

from typing import Any

NANOSECONDS = 1_000_000_000
"""Nanoseconds of a second."""

NANOSECOND_S = 1e-9
"""A nanosecond, s.  To multiply by it and to divide by `NANOSECONDS` differ in the last bit."""


def whole_nanoseconds(seconds: float) -> int:
    """Return the whole nanoseconds nearest to a duration, s."""
    return round(seconds * NANOSECONDS)


def period_ns(rate_hz: float) -> int:
    """Return the whole nanoseconds nearest to a period of a rate, Hz."""
    return round(NANOSECONDS / rate_hz)


def to_seconds(nanoseconds: int) -> float:
    """Return a duration in seconds; of Unix time a float holds no more than 0.2 us."""
    return nanoseconds / NANOSECONDS


def seconds_and_rest(nanoseconds: int) -> tuple[int, int]:
    """Return whole seconds and the nanoseconds beyond them: a message's sec and nanosec."""
    return divmod(nanoseconds, NANOSECONDS)


def to_nanoseconds(stamp: Any) -> int:
    """Return whole nanoseconds of a message's stamp or duration, whoever decoded it.

    stamp: anything with sec and nanosec.
    """
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
