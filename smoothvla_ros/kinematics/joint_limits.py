"""What the joints of an arm may do: ranges, and the most of velocity, acceleration and jerk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class EndVelocities:
    """How fast n joints may go towards their ends: sqrt(2 deceleration way) - offset.

    way: to `upper` or `lower`, rad.  offset: rad/s.  deceleration: rad/s^2. A joint that follows
    such a curve loses speed at deceleration * v / (v + offset), at every speed less than that.
    """

    lower: np.ndarray
    upper: np.ndarray
    offset: np.ndarray
    deceleration: np.ndarray

    def up(self, positions: np.ndarray) -> np.ndarray:
        """Return the most towards the upper ends at positions [..., n] rad, rad/s."""
        return self._along(self.upper - positions)

    def down(self, positions: np.ndarray) -> np.ndarray:
        """Return the most towards the lower ends at positions [..., n] rad, rad/s."""
        return self._along(positions - self.lower)

    def braking(self, left: np.ndarray) -> np.ndarray:
        """Return with which deceleration [n] a joint stays below the curve until it rests.

        left: [n] rad, above 0, from where it rests to where the curve ends. Braking at b from v
        takes v^2 / (2 b), and the curve is at v where (v + offset)^2 / (2 deceleration) are left:
        both meet in one point where b = deceleration - offset^2 / (2 left).
        """
        return self.deceleration - self.offset**2 / (2 * left)

    def _along(self, way: np.ndarray) -> np.ndarray:
        reached = np.sqrt(2 * self.deceleration * np.maximum(way, 0.0)) - self.offset
        return np.maximum(reached, 0.0)


@dataclass(frozen=True)
class JointLimits:
    """Of n joints: position range rad, and the most of velocity, acceleration and jerk.

    ends: what the velocity is bounded by besides, towards the ends; None: nothing.
    """

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray
    ends: EndVelocities | None = None

    def velocity_at(self, joints: np.ndarray) -> np.ndarray:
        """Return the most [n] rad/s in either direction at `joints` [n] rad."""
        if self.ends is None:
            return self.velocity
        towards_ends = np.minimum(self.ends.up(joints), self.ends.down(joints))
        return np.minimum(self.velocity, towards_ends)

    @cached_property
    def middle(self) -> np.ndarray:
        """Of the position ranges, [n] rad."""
        return (self.lower + self.upper) / 2

    @cached_property
    def most(self) -> np.ndarray:
        """The largest magnitude [4, n] of position from `middle`, velocity and so on."""
        return np.array([self.upper - self.middle, self.velocity, self.acceleration, self.jerk])
