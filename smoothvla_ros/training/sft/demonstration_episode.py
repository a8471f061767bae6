"""One demonstration as supervised fine-tuning needs it, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# Privileged positions that a scripted expert knows; each is an auxiliary label of the goal head.
LABEL_NAMES = ('waypoint', 'object_position', 'target_position')


@dataclass(frozen=True)
class DemonstrationEpisode:
    """One demonstration of T control steps with images at n of them.

    images: camera -> uint8 [n, H, W, 3], RGB, upright.  image_steps: int64 [n], each in [0, T).
    joint_positions, joint_velocities: float64 [T or T + 1, joints] rad, rad/s, before each step.
    gripper_positions: float64 [T or T + 1, 2] m, the second finger's negative.
    actions: float32 [T, 7] in [-1, 1], what the policy should have done at each step.
    labels: name of LABEL_NAMES -> float32 [T, 3], robot base frame, m. May be empty.
    """

    source: str
    instruction: str
    images: Mapping[str, np.ndarray]
    image_steps: np.ndarray
    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    gripper_positions: np.ndarray
    actions: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)
