"""Absolute joint positions and a gripper: the actions of many policies trained on real arms."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from smoothvla_ros.control.motion_guard.action_space import Knot, Unreachable, hermite
from smoothvla_ros.kinematics.joint_limits import JointLimits
from smoothvla_ros.libero import JOINT_SPACE


class JointPositions:
    """The action space `joint_positions`: n joints in rad and a gripper in [-1, 1]."""

    name = JOINT_SPACE

    def __init__(self, limits: JointLimits) -> None:
        """limits: targets outside of the position range are out of reach."""
        self._limits = limits
        self.dimension = len(limits.lower) + 1

    def at_rest(self, joints: np.ndarray) -> Knot:
        """Return the knot of an arm that stands at `joints` [n] rad."""
        return Knot(joints, np.zeros_like(joints))

    def require_reachable(self, knot: Knot, actions: np.ndarray) -> None:
        """Raise Unreachable for a target outside of a joint's range."""
        targets = actions[:, :-1]
        beyond = (targets < self._limits.lower) | (targets > self._limits.upper)
        if beyond.any():
            step, joint = np.argwhere(beyond)[0]
            raise Unreachable(
                f'step {step}: {targets[step, joint]:.4g} rad is outside of the range of joint '
                f'{joint + 1}, {self._limits.lower[joint]:g} to {self._limits.upper[joint]:g}'
            )

    def first_target(self, knot: Knot, actions: np.ndarray) -> np.ndarray:
        """Return the first target [n] rad."""
        return np.asarray(actions[0, :-1])

    def after(
        self, knot: Knot, action: np.ndarray | None, dt: float
    ) -> Generator[None, None, Knot]:
        """Return the target at once; its velocity is that of the way there, none at the end."""
        yield from ()
        if action is None:
            return Knot(knot.joints, np.zeros_like(knot.joints))
        target = action[:-1]
        return Knot(target, (target - knot.joints) / dt)

    def between(self, start: Knot, stop: Knot, fraction: float, dt: float) -> Knot:
        """Return the knot at `fraction` of the way."""
        return Knot(*hermite(start, stop, fraction, dt))
