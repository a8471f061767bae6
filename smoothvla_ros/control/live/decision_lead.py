"""How long before the end of a chunk the next one is asked for, from what was measured so far."""

from __future__ import annotations

from collections import deque

# The last so many count, and the largest of them is reckoned with: a chunk that comes too late
# makes the arm brake, one that comes too early costs a decision.
_REMEMBERED = 8


class DecisionLead:
    """The lead of a decision: what its answer is to have in hand, and all that comes before it.

    An observation is answered late by its own interval at most, because the one before it was not
    due yet, and by the time from its stamp to its answer. Both are measured. Durations and stamps
    in nanoseconds of one clock.
    """

    def __init__(self, least_ns: int, most_ns: int) -> None:
        """least_ns: how long before the end of a chunk the next one is to be there.

        most_ns: the largest lead, whatever was measured, and where it is the smaller one.
        """
        self._least_ns = least_ns
        self._most_ns = most_ns
        self._stamp_ns: int | None = None
        self._intervals: deque[int] = deque(maxlen=_REMEMBERED)
        self._delays: deque[int] = deque(maxlen=_REMEMBERED)

    @property
    def delay_ns(self) -> int:
        """From an observation's stamp to its answer, the longest of the last ones; 0 before."""
        return max(self._delays, default=0)

    @property
    def interval_ns(self) -> int:
        """Between two observations, the longest of the last ones; 0 before."""
        return max(self._intervals, default=0)

    @property
    def lead_ns(self) -> int:
        """How long before the end of a chunk an observation is due for the next."""
        return min(self._least_ns + self.interval_ns + self.delay_ns, self._most_ns)

    def observed(self, stamp_ns: int) -> None:
        """Note that there is an observation of this stamp; the same one again is no news."""
        if self._stamp_ns is not None and stamp_ns > self._stamp_ns:
            self._intervals.append(stamp_ns - self._stamp_ns)
        self._stamp_ns = stamp_ns

    def answered(self, stamp_ns: int, now_ns: int) -> None:
        """Note that the observation of this stamp is answered now."""
        self._delays.append(max(now_ns - stamp_ns, 0))
