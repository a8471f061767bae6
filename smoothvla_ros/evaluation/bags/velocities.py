"""Whether recorded velocities may be trusted, and how much."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.evaluation.bags.joint_stream import StampedJoints
from smoothvla_ros.evaluation.bags.settings import AnalysisSettings
from smoothvla_ros.smoothness import EstimatorSettings, MotionStream
from smoothvla_ros.smoothness.wraps import Unwrapping

# Velocities that a driver filters lag behind the positions, and some drivers publish zeros.
_AGREEMENT = 0.05
_STILL_RAD_PER_S = 1e-3


def velocity_weight_of(
    head: StampedJoints,
    estimator: EstimatorSettings,
    settings: AnalysisSettings,
    turning: np.ndarray | None = None,
) -> tuple[float, str]:
    """Return the weight that the first samples earn their velocities, s, and the reason in words.

    The weight is the deviation of the positions over that of the velocities, both from what the
    positions' own fit leaves over. Zero where velocities are missing or contradict the positions.
    turning: bool [n], as for `Unwrapping`.
    """
    known = np.isfinite(np.hstack([head.velocities, head.positions])).all(axis=1)
    if not known.any():
        return 0.0, 'none recorded'
    if not settings.velocities:
        return 0.0, 'recorded, not used'
    stamps_s, unwrapped = head.stamps_s[known], Unwrapping(turning).add(head.positions[known])
    read = MotionStream(estimator, stride=estimator.read_stride, turning=turning).add(
        stamps_s, unwrapped
    )
    if not len(read.stamps_s):
        return 0.0, 'recorded, not used: too few samples to compare them with the positions'
    rows = np.minimum(np.searchsorted(stamps_s, read.stamps_s), len(stamps_s) - 1)
    velocities, positions = head.velocities[known][rows], unwrapped[rows]
    speed = _rms(read.motions[:, 1])
    if speed < _STILL_RAD_PER_S:
        return 0.0, 'recorded, not used: the arm rests too long at first to check them'
    difference = _rms(velocities - read.motions[:, 1])
    if difference > _AGREEMENT * speed:
        return 0.0, (
            f'recorded, not used: they differ from the positions by {difference / speed:.0%}'
        )
    spread = max(_rms(positions - read.motions[:, 0]), settings.encoder_step / np.sqrt(12))
    weight_s = spread / max(difference, 1e-9)
    return float(weight_s), f'used along with the positions, weight {weight_s * 1e3:.2g} ms'


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
