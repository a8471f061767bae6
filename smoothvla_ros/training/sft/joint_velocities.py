"""Joint velocities for data sets that hold positions alone."""

from __future__ import annotations

import numpy as np


def velocities_from_positions(positions: np.ndarray, period_s: float) -> np.ndarray:
    """Return float64 [T, n] rad/s: the backward difference, which uses nothing from the future.

    positions: [T, n] rad, one every `period_s` s. The first row is zero: recordings start at rest.
    """
    steps = np.diff(positions, axis=0, prepend=positions[:1])
    return steps / period_s
