"""Seconds since a motion began, from stamps of Unix time and back."""

from __future__ import annotations

from smoothvla_ros.nanoseconds import to_seconds, whole_nanoseconds


class MotionTime:
    """Unix seconds would cost seven digits of a stamp: a motion has an origin of its own."""

    def __init__(self) -> None:
        self._origin_ns = 0

    @property
    def has_begun(self) -> bool:
        """Whether there is a motion; one does not begin at stamp 0."""
        return self._origin_ns != 0

    def begin(self, stamp_ns: int) -> None:
        """Take the stamp where a motion begins, ns; the one before is over."""
        self._origin_ns = stamp_ns

    def seconds(self, stamp_ns: int) -> float:
        """Return the time of a stamp since the motion began, s."""
        return to_seconds(stamp_ns - self._origin_ns)

    def stamp_ns(self, seconds: float) -> int:
        """Return the stamp of a time since the motion began."""
        return self._origin_ns + whole_nanoseconds(seconds)
