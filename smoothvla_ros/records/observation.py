"""What a policy sees at one instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Observation:
    """One instant of one robot, as both graphs (training and deployment) deliver it.

    images: camera name -> uint8 [height, width, 3], RGB, upright.
    joint_positions: float64 [n] rad.  joint_velocities: float64 [n] rad/s.
    gripper_positions: float64 [fingers] m.
    instruction: what the robot is asked to do.
    """

    images: Mapping[str, np.ndarray]
    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    gripper_positions: np.ndarray
    instruction: str
