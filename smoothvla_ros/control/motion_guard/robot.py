"""What the guard must know of an arm: its model and its limits, from config/robots/*.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.robot_descriptions import robot_description

VENDOR = 'vendor'
COMFORT = 'comfort'
LIMIT_SETS = (COMFORT, VENDOR)

# What a robot file and a URDF may differ by: one of them is rounded.
_POSITION_TOLERANCE_RAD = 1e-3
_VELOCITY_TOLERANCE = 0.01

_FROM_PACKAGE = 'example-robot-data:'
_PER_JOINT = (
    'position_lower',
    'position_upper',
    'posture',
    *(f'{name}_{what}' for name in LIMIT_SETS for what in ('velocity', 'acceleration', 'jerk')),
)


@dataclass(frozen=True)
class JointLimits:
    """Of n joints: position range rad, and the most of velocity, acceleration and jerk."""

    lower: np.ndarray
    upper: np.ndarray
    velocity: np.ndarray
    acceleration: np.ndarray
    jerk: np.ndarray

    @cached_property
    def middle(self) -> np.ndarray:
        """Of the position ranges, [n] rad."""
        return (self.lower + self.upper) / 2

    @cached_property
    def most(self) -> np.ndarray:
        """The largest magnitude [4, n] of position from `middle`, velocity and so on."""
        return np.array([self.upper - self.middle, self.velocity, self.acceleration, self.jerk])


@dataclass(frozen=True)
class RobotDescription:
    """One arm. Every limit must be given: a missing one is an error, never infinity."""

    name: str = setting(description='Name of the arm')
    urdf: str = setting(
        description=f'URDF: a path, or {_FROM_PACKAGE} and a path inside of that package'
    )
    base_frame: str = setting(description='Frame that actions are expressed in')
    tool_frame: str = setting(description='Link that carries the tool')
    tool_offset: tuple[float, ...] = setting(description='Tool point in axes of tool_frame, m')
    joints: tuple[str, ...] = setting(description='Joints from base to tool')
    posture: tuple[float, ...] = setting(description='Where spare freedom draws the arm to, rad')
    position_lower: tuple[float, ...] = setting(description='Lower ends of the ranges, rad')
    position_upper: tuple[float, ...] = setting(description='Upper ends of the ranges, rad')
    vendor_velocity: tuple[float, ...] = setting(description="The vendor's limits, rad/s")
    vendor_acceleration: tuple[float, ...] = setting(description="The vendor's limits, rad/s^2")
    vendor_jerk: tuple[float, ...] = setting(description="The vendor's limits, rad/s^3")
    comfort_velocity: tuple[float, ...] = setting(description='Limits for every day, rad/s')
    comfort_acceleration: tuple[float, ...] = setting(description='Limits for every day, rad/s^2')
    comfort_jerk: tuple[float, ...] = setting(description='Limits for every day, rad/s^3')

    def __post_init__(self) -> None:
        place = f'robot {self.name!r}'
        validate(self, place)
        if not self.joints or len(self.tool_offset) != 3:
            raise UserError(f'{place}: give at least one joint and three numbers of tool_offset')
        for name in _PER_JOINT:
            values = getattr(self, name)
            if len(values) != len(self.joints) or not np.isfinite(values).all():
                raise UserError(
                    f'{place}: {name}={list(values)} must be {len(self.joints)} finite numbers, '
                    f'one for each of {", ".join(self.joints)}'
                )
        if not np.all(np.less(self.position_lower, self.position_upper)):
            raise UserError(f'{place}: position_lower must be below position_upper for each joint')
        for what in ('velocity', 'acceleration', 'jerk'):
            vendor, comfort = getattr(self, f'vendor_{what}'), getattr(self, f'comfort_{what}')
            if not (np.all(np.greater(comfort, 0.0)) and np.all(np.less_equal(comfort, vendor))):
                raise UserError(
                    f'{place}: comfort_{what}={list(comfort)} must be above 0 and at most '
                    f'vendor_{what}={list(vendor)}'
                )

    @classmethod
    def from_file(cls, path: Path, urdf: str = '') -> RobotDescription:
        """Read a file of config/robots; urdf: in place of the file's, if not empty.

        Raises UserError for a missing limit, an unknown name or a value that cannot be.
        """
        return load(cls, path, {'urdf': urdf} if urdf else None)

    def limits(self, which: str) -> JointLimits:
        """Return the limits of one set, `COMFORT` or `VENDOR`."""

        def values(name: str) -> np.ndarray:
            return np.array(getattr(self, name), dtype=np.float64)

        return JointLimits(
            values('position_lower'),
            values('position_upper'),
            values(f'{which}_velocity'),
            values(f'{which}_acceleration'),
            values(f'{which}_jerk'),
        )

    @property
    def urdf_path(self) -> Path:
        """The URDF's file; raises UserError where none is named, or not on this machine."""
        if not self.urdf:
            raise UserError(
                f'robot {self.name!r} names no URDF; give the path of one, made by xacro from the '
                'description package of this arm, with the parameter urdf'
            )
        inside = self.urdf.removeprefix(_FROM_PACKAGE)
        return robot_description(inside) if inside != self.urdf else Path(self.urdf)

    def arm(self) -> Arm:
        """Return the arm's kinematics.

        Raises UserError for a URDF that cannot be used, or that allows less than this robot file.
        """
        path = self.urdf_path
        arm = Arm.from_urdf(
            path, self.tool_frame, self.tool_offset, self.base_frame or None, self.joints
        )
        self._require_inside(*arm.joint_limits(), path)
        return arm

    def _require_inside(
        self, lower: np.ndarray, upper: np.ndarray, velocity: np.ndarray, path: Path
    ) -> None:
        """Raise UserError for a limit beyond a URDF's: of another unit, or of another joint.

        lower, upper [n] rad and velocity [n] rad/s: the URDF's, infinite where it has none.
        """
        lowest, highest = lower - _POSITION_TOLERANCE_RAD, upper + _POSITION_TOLERANCE_RAD
        fastest = (1.0 + _VELOCITY_TOLERANCE) * velocity
        for name, most, beyond in (
            ('position_lower', lower, np.less(self.position_lower, lowest)),
            ('position_upper', upper, np.greater(self.position_upper, highest)),
            ('vendor_velocity', velocity, np.greater(self.vendor_velocity, fastest)),
        ):
            for joint in np.flatnonzero(beyond)[:1]:
                raise UserError(
                    f'robot {self.name!r}: {name} of {self.joints[joint]} is '
                    f'{getattr(self, name)[joint]:g}, beyond {most[joint]:g} in URDF {path}; give '
                    "the robot file's limits in rad and rad/s in the order of joints, or the URDF "
                    'of this arm'
                )
