"""What can be wrong with a stream of joint samples, counted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamHealth:
    """What happened to the stream since the last `reset`.

    samples: taken into a window.  missing: that should have come between two samples and did not.
    duplicates: dropped, same stamp as the one before.  rejected: dropped, a value not finite.
    gaps, backwards: how often a pause or a stamp from the past started the window anew.
    off_rate: samples without an estimate because the stream is not at the declared rate.
    """

    samples: int = 0
    missing: int = 0
    duplicates: int = 0
    rejected: int = 0
    gaps: int = 0
    backwards: int = 0
    off_rate: int = 0
