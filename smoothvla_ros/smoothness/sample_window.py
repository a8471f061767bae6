"""The newest samples of a stream."""

from __future__ import annotations

import numpy as np


class SampleWindow:
    """Stamps, positions and velocities of the newest samples, oldest first.

    They lie in arrays of twice the size, so that most samples are written and nothing is moved.
    """

    def __init__(self, size: int) -> None:
        """Keep `size` samples; how many joints they have, the first one says."""
        self._size = size
        self._stamps = np.empty(2 * size)
        self.clear()

    def __len__(self) -> int:
        """Return how many are kept."""
        return min(self._end, self._size)

    @property
    def joints(self) -> int:
        """Of each sample; 0 before the first one."""
        return self._positions.shape[1]

    @property
    def is_full(self) -> bool:
        """Whether as many are kept as can be."""
        return self._end >= self._size

    @property
    def newest_s(self) -> float:
        """The newest sample's stamp, s.  Before the first one it is anything."""
        return float(self._stamps[self._end - 1])

    @property
    def stamps(self) -> np.ndarray:
        """[W] s; a view that the next sample may change, as are the others."""
        return self._stamps[max(self._end - self._size, 0) : self._end]

    @property
    def positions(self) -> np.ndarray:
        """[W, n] rad."""
        return self._positions[max(self._end - self._size, 0) : self._end]

    @property
    def velocities(self) -> np.ndarray:
        """[W, n] rad/s; NaN where none was given."""
        return self._velocities[max(self._end - self._size, 0) : self._end]

    def clear(self) -> None:
        """Forget every sample and how many joints they had."""
        self._end = 0
        self._positions = self._velocities = np.empty((2 * self._size, 0))

    def add(self, stamp_s: float, positions: np.ndarray, velocities: np.ndarray | None) -> None:
        """Take a sample, positions [n] rad and velocities [n] rad/s or None."""
        if not self.joints:
            self._positions = np.empty((2 * self._size, len(positions)))
            self._velocities = np.full_like(self._positions, np.nan)
        if self._end == 2 * self._size:
            for kept in (self._stamps, self._positions, self._velocities):
                kept[: self._size] = kept[self._size :]
            self._end = self._size
        self._stamps[self._end] = stamp_s
        self._positions[self._end] = positions
        self._velocities[self._end] = np.nan if velocities is None else velocities
        self._end += 1
