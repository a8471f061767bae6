"""Rotation matrices and rotation vectors."""

from __future__ import annotations

import numpy as np
import pinocchio as pin


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Return axis times angle [3] rad of a rotation matrix [3, 3]."""
    return np.asarray(pin.log3(rotation))


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Return the rotation matrix [3, 3] of axis times angle [3] rad."""
    return np.asarray(pin.exp3(vector))
