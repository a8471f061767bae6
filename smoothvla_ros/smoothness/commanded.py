"""How rough the commands are, whatever the arm made of them."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.libero import POSE, POSE_DIMENSION, ROTATION_SCALE_RAD, TRANSLATION_SCALE_M


def commanded_jerk(
    actions: np.ndarray,
    dt: float,
    position_scale: float = TRANSLATION_SCALE_M,
    rotation_scale: float = ROTATION_SCALE_RAD,
) -> np.ndarray:
    """Return the jerk of the commanded tool path: [T - 2, 6], m/s^3 and rad/s^3, base axes.

    A LIBERO action is a step of the tool pose, so the third derivative of the path that the
    actions ask for is their second difference. A rotation step is a rotation vector in base axes:
    composing the steps on SO(3) and taking the angular velocity of every step gives the vector
    itself back (below pi, and a LIBERO step is below 0.87 rad), so angular velocities, unlike
    Euler angles, may be differenced. The gripper, column 7, is left out.
    actions: [T, >= 6], T >= 3, each in [-1, 1].  dt: s.
    position_scale: m, rotation_scale: rad, that an action of 1 asks for in one step.
    Raises ValueError for fewer actions or columns, or values that are not finite.
    """
    pose = _pose_actions(actions, at_least=3)
    scale = np.array([position_scale] * 3 + [rotation_scale] * 3)
    return np.diff(pose, 2, axis=0) * scale / dt**3


def total_variation(actions: np.ndarray) -> float:
    """Return the sum of ||a_t - a_{t-1}|| over T, in units of the normalised action.

    The gripper, column 7, is left out.  actions: [T, >= 6].  Zero for a single action.
    Raises ValueError for no action, fewer columns, or values that are not finite.
    """
    pose = _pose_actions(actions, at_least=1)
    return float(np.linalg.norm(np.diff(pose, axis=0), axis=1).sum() / len(pose))


def _pose_actions(actions: np.ndarray, at_least: int) -> np.ndarray:
    pose = np.asarray(actions, dtype=np.float64)
    if pose.ndim != 2 or pose.shape[1] < POSE_DIMENSION or len(pose) < at_least:
        raise ValueError(
            f'actions have shape {pose.shape}; expected at least [{at_least}, {POSE_DIMENSION}]'
        )
    if not np.isfinite(pose).all():
        raise ValueError('actions are not all finite')
    return pose[:, POSE]
