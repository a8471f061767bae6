"""What an analysis of recordings may be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.kinematics import Arm


@dataclass(frozen=True)
class AnalysisSettings:
    """How jerk is estimated and where one movement ends and the next begins."""

    window_s: float = setting(0.3, 'length of the fitted window, s', minimum=0.001, maximum=10.0)
    order: int = setting(4, 'order of the fitted polynomial', minimum=3, maximum=6)
    encoder_step: float = setting(
        1e-5, 'smallest step of a joint position, rad: the noise floor follows', minimum=0.0
    )
    velocities: bool = setting(True, 'use recorded velocities that agree with the positions')
    rest_speed: float = setting(
        0.01, 'joint speed below which every joint is at rest, rad/s', minimum=0.0
    )
    rest_s: float = setting(0.25, 'length of a rest that ends a segment, s', minimum=0.0)
    least_segment_s: float = setting(0.3, 'shortest segment that counts, s', minimum=0.0)

    def __post_init__(self) -> None:
        """Raise UserError for a value out of range."""
        validate(self, 'analysis')


@dataclass(frozen=True)
class AnalysedRobot:
    """Whose joints they are.

    arm: with it the tool's jerk is known; None for joints alone.
    limits: joint name -> greatest allowed jerk, `unit`; empty where nobody said.
    limits_of: whose limits they are, for the page.
    joints: without an arm, the names of those to look at; empty for all that move together.
    """

    arm: Arm | None = None
    limits: dict[str, float] = field(default_factory=dict)
    limits_of: str = ''
    joints: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[str, ...] | None:
        """The joints to look at; None for all that move together."""
        return self.arm.joint_names if self.arm is not None else self.joints or None

    @property
    def turning(self) -> np.ndarray | None:
        """Which of the joints wanted turn, bool [n]; without a model nobody knows: None."""
        return None if self.arm is None else self.arm.turning

    def unit(self, joint: str) -> str:
        """Return the unit of a joint's jerk. Without a model nobody knows which of them slide."""
        slides = self.arm is not None and joint in self.arm.sliding_joints
        return 'm/s^3' if slides else 'rad/s^3'

    def units(self, joints: Iterable[str]) -> str:
        """Return the unit of the jerk of several, or both where some turn and some slide."""
        return ' or '.join(sorted({self.unit(joint) for joint in joints}, reverse=True))
