"""Inverse kinematics of any arm: damped, inside of the joint limits, calm at singularities.

Damped least squares with a damping that rises only where the smallest singular value of the
Jacobian falls below a threshold (Nakamura and Hanafusa, 1986). A joint that would leave its range
is held at the bound and the others take over its share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.rotations import rotation_vector

# Below this singular value the damping sets in, and this is what it reaches at zero.
_SINGULAR_VALUE = 0.05
_LARGEST_DAMPING = 0.05
# Beyond this the linearisation of one iteration says little.
_LARGEST_STEP_RAD = 0.3
# An iteration that comes this near is the last.
_TOLERANCE_M, _TOLERANCE_RAD = 5e-5, 1e-4


@dataclass(frozen=True)
class Solution:
    """Joints [n] rad, and how far the tool is from the pose asked for: m and rad."""

    joints: np.ndarray
    position_error: float
    rotation_error: float


class InverseKinematics:
    """Finds joints near given ones that bring the tool to a pose."""

    def __init__(
        self,
        arm: Arm,
        lower: np.ndarray,
        upper: np.ndarray,
        posture: np.ndarray | None = None,
    ) -> None:
        """Take the range of the joints and the posture that a motion is to draw them to.

        lower, upper: [n] rad.  posture: [n] rad; None is the middle of the range.  `solve` does
        without it.
        Raises UserError where a range is empty or a posture lies outside of it.
        """
        self._arm = arm
        self._lower = np.array(lower, dtype=np.float64)
        self._upper = np.array(upper, dtype=np.float64)
        middle = (self._lower + self._upper) / 2
        self._posture = np.array(posture, dtype=np.float64) if posture is not None else middle
        shape = (len(arm.joint_names),)
        if not self._lower.shape == self._upper.shape == self._posture.shape == shape:
            raise UserError(f'joint ranges and posture must have {shape[0]} values each')
        inside = (self._lower <= self._posture) & (self._posture <= self._upper)
        if not (np.all(self._lower < self._upper) and np.all(inside)):
            raise UserError(
                f'posture {self._posture.tolist()} is not inside of the joint ranges '
                f'{self._lower.tolist()} to {self._upper.tolist()}'
            )

    @property
    def lower(self) -> np.ndarray:
        """Lower ends of the joints' ranges, [n] rad."""
        return self._lower

    @property
    def upper(self) -> np.ndarray:
        """Upper ends of the joints' ranges, [n] rad."""
        return self._upper

    @property
    def posture(self) -> np.ndarray:
        """Where spare freedom draws the joints to, [n] rad."""
        return self._posture

    def solve(
        self,
        start: np.ndarray,
        position: np.ndarray,
        rotation: np.ndarray,
        iterations: int = 12,
        tolerance: tuple[float, float] | None = None,
    ) -> Solution:
        """Return joints that bring the tool to a pose, the nearest that was found.

        start: [n] rad, where the search begins.  position: [3] m, rotation: [3, 3], in the base
        frame.
        """
        joints = np.clip(start, self._lower, self._upper)
        best = Solution(joints, math.inf, math.inf)
        near_m, near_rad = tolerance or (_TOLERANCE_M, _TOLERANCE_RAD)
        for _ in range(iterations):
            here, axes, jacobian = self._arm.pose_and_jacobian(joints)
            error = np.concatenate([position - here, rotation_vector(rotation @ axes.T)])
            found = Solution(
                joints, math.hypot(*error[:3].tolist()), math.hypot(*error[3:].tolist())
            )
            if _distance(found) < _distance(best):
                best = found
            if found.position_error <= near_m and found.rotation_error <= near_rad:
                return found
            joints = self._stepped(joints, jacobian, error)
        return best

    def _stepped(self, joints: np.ndarray, jacobian: np.ndarray, error: np.ndarray) -> np.ndarray:
        """Return the joints after one damped Newton step that no joint leaves its range in."""
        step = _damped(jacobian, error)
        target = joints + step
        if (
            float(np.abs(step).max()) <= _LARGEST_STEP_RAD
            and (target >= self._lower).all()
            and (target <= self._upper).all()
        ):
            return target
        free = np.ones(len(joints), dtype=bool)
        held = np.zeros(len(joints))
        while True:
            step = _damped(jacobian * free, error - jacobian @ held) * free
            size = float(np.abs(step).max())
            if size > _LARGEST_STEP_RAD:
                step *= _LARGEST_STEP_RAD / size
            target = joints + step + held
            beyond = free & ((target < self._lower) | (target > self._upper))
            if not beyond.any():
                return target
            bounded = np.clip(target, self._lower, self._upper)
            held = np.where(beyond, bounded - joints, held)
            free &= ~beyond
            if not free.any():
                return bounded


def _damped(jacobian: np.ndarray, twist: np.ndarray) -> np.ndarray:
    """Return the damped least-squares answer [n] to jacobian [6, n] times x = twist [6]."""
    square = jacobian @ jacobian.T
    smallest = math.sqrt(max(float(np.linalg.eigvalsh(square)[0]), 0.0))
    if smallest < _SINGULAR_VALUE:
        damping = _LARGEST_DAMPING**2 * (1.0 - (smallest / _SINGULAR_VALUE) ** 2)
        square = square + damping * np.eye(6)
    return np.asarray(jacobian.T @ np.linalg.solve(square, twist))


def _distance(solution: Solution) -> float:
    """Return one number to compare solutions by; a radian counts as half a metre."""
    return solution.position_error + 0.5 * solution.rotation_error
