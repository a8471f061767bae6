"""Time on the wire: messages carry (sec, nanosec), the protocol counts whole nanoseconds."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from smoothvla_ros.nanoseconds import seconds_and_rest


def to_stamp(nanoseconds: int) -> Time:
    """Return a message's stamp of non-negative whole nanoseconds."""
    seconds, rest = seconds_and_rest(nanoseconds)
    return Time(sec=seconds, nanosec=rest)
