"""Time on the wire: messages carry (sec, nanosec), the protocol counts whole nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from smoothvla_ros.control.lock_step.protocol import NANOSECONDS


def to_stamp(nanoseconds: int) -> Time:
    """Return a message's stamp of non-negative whole nanoseconds."""
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def to_nanoseconds(stamp: Time) -> int:
    """Return whole nanoseconds of a message's stamp."""
    return stamp.sec * NANOSECONDS + stamp.nanosec
