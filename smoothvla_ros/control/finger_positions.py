"""Finger positions as joint_states counts them, and as a policy's training did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def as_trained(
    positions: np.ndarray, scale: Sequence[float], offset: Sequence[float]
) -> np.ndarray:
    """Return the policy's finger positions [k], m, of the gripper's joints [k].

    scale: [k] m, for each unit of a joint.  offset: [k] m, where a joint is at 0.
    """
    return positions * np.asarray(scale) + np.asarray(offset)
