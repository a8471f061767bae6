"""Time in whole nanoseconds, as clocks and the protocol count it, and in seconds."""

from __future__ import annotations

from typing import Any

NANOSECONDS = 1_000_000_000
"""Nanoseconds of a second."""

NANOSECOND_S = 1e-9
"""A nanosecond, s.  To multiply by it and to divide by `NANOSECONDS` differ in the last bit."""


def seconds_and_rest(nanoseconds: int) -> tuple[int, int]:
    """Return whole seconds and the nanoseconds beyond them: a message's sec and nanosec."""
    return divmod(nanoseconds, NANOSECONDS)


def to_nanoseconds(stamp: Any) -> int:
    """Return whole nanoseconds of a message's stamp or duration, whoever decoded it.

    stamp: anything with sec and nanosec.
    """
    return int(stamp.sec) * NANOSECONDS + int(stamp.nanosec)
