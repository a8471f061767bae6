"""The time of a motion, and the stamps that it came from."""

from __future__ import annotations

from smoothvla_ros.control.monitoring.motion_time import MotionTime

BEGAN_NS = 1_790_000_000_123_456_789


def test_a_stamp_keeps_its_last_digit():
    """To the nanosecond a minute after the beginning; Unix seconds end at 0.2 us."""
    time = MotionTime()
    time.begin(BEGAN_NS)
    for since_ns in (0, 1, 60_000_000_001, -5):
        assert time.seconds(BEGAN_NS + since_ns) == since_ns / 1e9
        assert time.stamp_ns(time.seconds(BEGAN_NS + since_ns)) == BEGAN_NS + since_ns


def test_the_next_motion_has_its_own_beginning():
    """None has begun at first; the beginning of the one before is forgotten."""
    time = MotionTime()
    assert not time.has_begun
    for stamp_ns in (BEGAN_NS, 2 * BEGAN_NS):
        time.begin(stamp_ns)
        assert time.has_begun
        assert time.seconds(stamp_ns) == 0.0
