"""Mean, RMS and peak of several columns, and LDLJ of one, in constant memory."""

from __future__ import annotations

import math

import numpy as np

from smoothvla_ros.smoothness.dimensionless import log_dimensionless_jerk_of


class Magnitudes:
    """Adds up absolute values column by column."""

    def __init__(self, columns: int) -> None:
        """Start with nothing."""
        self.count = 0
        self._sum = np.zeros(columns)
        self._squares = np.zeros(columns)
        self._peak = np.zeros(columns)

    def add(self, values: np.ndarray) -> None:
        """Take rows of values: [K, columns], in any unit."""
        size = np.abs(values)
        self.count += len(size)
        self._sum += size.sum(axis=0)
        self._squares += np.square(size).sum(axis=0)
        self._peak = np.maximum(self._peak, size.max(axis=0, initial=0.0))

    def merge(self, other: Magnitudes) -> None:
        """Take everything that another one took."""
        self.count += other.count
        self._sum += other._sum
        self._squares += other._squares
        self._peak = np.maximum(self._peak, other._peak)

    def of(self, column: int) -> dict[str, float]:
        """Return mean, rms and peak of one column; NaN where nothing was added."""
        if not self.count:
            return {'mean': math.nan, 'rms': math.nan, 'peak': math.nan}
        return {
            'mean': float(self._sum[column] / self.count),
            'rms': math.sqrt(self._squares[column] / self.count),
            'peak': float(self._peak[column]),
        }

    def log_dimensionless_jerk(self, column: int, period_s: float, peak_speed: float) -> float:
        """Return `log_dimensionless_jerk_of` a column of jerks, one every `period_s`.

        peak_speed: m/s, or rad/s where the jerks are in rad/s^3.
        """
        root = np.array([math.sqrt(self._squares[column])])
        return log_dimensionless_jerk_of(root, period_s, peak_speed, self.count * period_s)

    def every(self) -> tuple[dict[str, float], ...]:
        """Return `of` every column."""
        return tuple(self.of(column) for column in range(len(self._sum)))
