"""The rate of a stream from which no estimate comes, because another one was declared."""

from __future__ import annotations


class UndeclaredRate:
    """Measures a stream for as long as it yields nothing."""

    def __init__(self, patience_s: float) -> None:
        """patience_s: how long nothing may come before the rate is worth a word, s."""
        self._patience_s = patience_s
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._first_s = self._newest_s = 0.0
        self._samples = 0

    def add(self, stamp_s: float, estimated: bool) -> None:
        """Take a sample's stamp, and whether it completed an estimate.

        A pause, or a clock that was set back, begins anew: a window has to fill again after it.
        """
        step_s = stamp_s - self._newest_s
        if estimated or (self._samples and not 0.0 <= step_s <= 0.5 * self._patience_s):
            self.reset()
        if not self._samples:
            self._first_s = stamp_s
        self._newest_s = stamp_s
        self._samples += 1

    @property
    def hz(self) -> float | None:
        """The mean rate, once nothing has come for too long; None as long as all is well."""
        span = self._newest_s - self._first_s
        return (self._samples - 1) / span if span > self._patience_s else None
