"""Between the nanoseconds of a clock and the ticks of a motion."""

from __future__ import annotations

import math

from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECONDS, period_ns

# The most that the guard's setting rate_hz allows.
FASTEST_HZ = 500.0
_OTHER = 'joint_trajectory_controller'


class Timeline:
    """Ticks of one motion, counted from when the arm was taken over.

    Where the controller interpolates, a tick is a time: what was published goes on while nobody
    looks. Where positions are streamed, the arm is where the last position was, so a tick is a
    position, and being late does not skip any.
    """

    def __init__(self, rate_hz: float, transport_s: float, streams_positions: bool) -> None:
        """transport_s: in which a command reaches a controller that interpolates."""
        self.period_ns = period_ns(rate_hz)
        self.period_s = self.period_ns / NANOSECONDS
        self.origin_ns = 0
        self._streams = streams_positions
        self._lead = math.ceil(transport_s / self.period_s - 1e-9)
        self._count = 0
        self._last_ns: int | None = None

    @property
    def now_tick(self) -> float:
        """The present, as of the last `advance`."""
        if self._streams:
            return float(self._count)
        last_ns = self._last_ns if self._last_ns is not None else self.origin_ns
        return (last_ns - self.origin_ns) / self.period_ns

    def begin(self, now_ns: int) -> None:
        """Count from now on."""
        self.origin_ns = now_ns
        self._count = 0
        self._last_ns = now_ns

    def advance(self, now_ns: int) -> tuple[float, float]:
        """Note that a tick begins; return seconds since the last one, and how late this one is.

        Where the clock went back, the motion goes on as if one period had passed.
        """
        if self._last_ns is None:
            self._last_ns = now_ns
            return self.period_s, 0.0
        since_ns = now_ns - self._last_ns
        if since_ns < 0:
            self.origin_ns += since_ns - self.period_ns
        self._last_ns = now_ns
        self._count += 1
        return since_ns / NANOSECONDS, max(since_ns - self.period_ns, 0) / NANOSECONDS

    def since_last_s(self, now_ns: int) -> float:
        """Return seconds since the last tick, 0 before the first; negative: the clock went back."""
        return 0.0 if self._last_ns is None else (now_ns - self._last_ns) / NANOSECONDS

    def first_free_tick(self, now_ns: int) -> int:
        """Return the first tick that a command of now can still change."""
        if self._streams:
            return self._count
        return math.floor((now_ns - self.origin_ns) / self.period_ns) + 1 + self._lead

    def tick_of(self, stamp_ns: int) -> float:
        """Return where the motion was at a stamp that is not later than now."""
        if self._streams:
            return self.now_tick
        return min((stamp_ns - self.origin_ns) / self.period_ns, self.now_tick)

    def ticks(self, duration_s: float) -> int:
        """Return the ticks of a duration, rounded up."""
        return math.ceil(duration_s / self.period_s)


def require_streamable(rate_hz: float, controller_rate_hz: float) -> None:
    """Raise UserError where a controller without interpolation is faster than the guard.

    It would hold each position for several of its periods: steps, which no profile can smooth.
    """
    if rate_hz < controller_rate_hz:
        # An arm's own rate is not for anybody to change: a Franka's controllers have to run at it.
        remedy = (
            f'raise rate_hz to it, or use {_OTHER}'
            if controller_rate_hz <= FASTEST_HZ
            else f'use {_OTHER}, for the guard streams {FASTEST_HZ:g} positions a second at '
            'most, and a Franka takes 1000'
        )
        raise UserError(
            f'rate_hz={rate_hz:g} is below the controller rate of {controller_rate_hz:g} Hz: a '
            f'forward_position_controller would make steps of the motion; {remedy}'
        )
