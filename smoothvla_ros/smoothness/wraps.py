"""Joints that are reported within one turn: where the number jumps, the joint did not."""

from __future__ import annotations

import math

import numpy as np

_TURN = 2 * math.pi
# How far a step may be from a whole turn, rad: what a joint turns between two samples (10 rad/s at
# 20 Hz). No arm makes a real step of a turn less that much: it would go faster than 100 rad/s.
_TOLERANCE = 0.5
_LEAST = _TURN - _TOLERANCE


class Unwrapping:
    """Makes the positions of turning joints continuous where they wrap at 2 pi, as they come.

    wraps: int [n], how often each joint wrapped; None before the first sample.
    """

    def __init__(self, turning: np.ndarray | None = None) -> None:
        """turning: bool [n], the joints that turn; the others slide. None: all turn."""
        self._turning = turning
        self.wraps: np.ndarray | None = None
        self.reset()

    def reset(self) -> None:
        """Take the next sample as it is; `wraps` stays."""
        self._last: np.ndarray | None = None
        self._offset: np.ndarray | None = None

    def add(self, positions: np.ndarray) -> np.ndarray:
        """Return the next samples [N, n] rad, finite, N > 0, with the turns that they lack."""
        before = positions[:1] if self._last is None else self._last[None]
        steps = np.diff(positions, axis=0, prepend=before)
        self._last = positions[-1].copy()
        if self.wraps is None:
            self.wraps = np.zeros(positions.shape[1], dtype=np.int64)
        turns = self._turns(steps)
        if not turns.any():
            return positions if self._offset is None else positions + self._offset
        self.wraps += np.count_nonzero(turns, axis=0)
        offsets = -_TURN * np.cumsum(turns, axis=0)
        if self._offset is not None:
            offsets += self._offset
        self._offset = offsets[-1].copy()
        unwrapped: np.ndarray = positions + offsets
        return unwrapped

    def add_one(self, positions: np.ndarray) -> np.ndarray:
        """Return the next sample [n] rad as `add` does: a thousand times a second, so briefly."""
        if self._last is not None:
            step = positions - self._last
            # The sum of the squares is never less than the greatest of them.
            if step.dot(step) < _LEAST * _LEAST:
                self._last = positions.copy()
                return positions if self._offset is None else positions + self._offset
        row: np.ndarray = self.add(positions[None])[0]
        return row

    def _turns(self, steps: np.ndarray) -> np.ndarray:
        """Return which steps [N, n] are wraps: 1 upwards, -1 downwards, else 0."""
        wrapped = np.abs(np.abs(steps) - _TURN) <= _TOLERANCE
        if self._turning is not None:
            wrapped &= self._turning
        turns: np.ndarray = np.where(wrapped, np.sign(steps), 0.0)
        return turns
