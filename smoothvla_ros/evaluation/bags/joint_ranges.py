"""Whether recorded joints lie where the arm's model can be: degrees and another robot do not."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics.arm import Arm

# What calibration and a soft stop may add to a range, rad (m where a joint slides).
_BEYOND = 0.1


class JointRanges:
    """The least and the greatest position of each joint of a recording."""

    def __init__(self, arm: Arm) -> None:
        self._arm = arm
        self._least = np.full(len(arm.joint_names), np.inf)
        self._greatest = -self._least

    def add(self, positions: np.ndarray) -> None:
        """Take positions [T, n], in the order of the arm's joints; rows with NaN count too."""
        finite = np.isfinite(positions)
        least = np.where(finite, positions, np.inf).min(axis=0, initial=np.inf)
        greatest = np.where(finite, positions, -np.inf).max(axis=0, initial=-np.inf)
        self._least = np.minimum(self._least, least)
        self._greatest = np.maximum(self._greatest, greatest)

    def notes(self) -> list[str]:
        """Return a line for each joint that was outside of its range in the model."""
        lower, upper, _ = self._arm.joint_limits()
        beyond = (self._least < lower - _BEYOND) | (self._greatest > upper + _BEYOND)
        return [
            f'joint {self._arm.joint_names[joint]} goes from {self._least[joint]:.4g} to '
            f'{self._greatest[joint]:.4g}, and its range in the model is '
            f'[{lower[joint]:.4g}, {upper[joint]:.4g}]: degrees instead of rad, or another robot?'
            for joint in np.flatnonzero(beyond)
        ]
