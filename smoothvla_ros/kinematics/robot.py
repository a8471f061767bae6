"""One arm: its model and its limits, from a file of config/robots or of one's own."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.example_urdf import example_urdf
from smoothvla_ros.kinematics.joint_limits import EndVelocities, JointLimits
from smoothvla_ros.shipped_files import file_or_shipped, shipped_file
from smoothvla_ros.user_path import user_path

VENDOR = 'vendor'
COMFORT = 'comfort'
LIMIT_SETS = (COMFORT, VENDOR)

# What a robot file and a URDF may differ by: one of them is rounded.
_POSITION_TOLERANCE_RAD = 1e-3
_VELOCITY_TOLERANCE = 0.01

_FROM_PACKAGE = 'example-robot-data:'
_BOUNDED = ('velocity', 'acceleration', 'jerk')
_PER_JOINT = (
    'position_lower',
    'position_upper',
    'posture',
    'vendor_velocity',
    *(f'{COMFORT}_{what}' for what in _BOUNDED),
)
_UNSAID = ('vendor_acceleration', 'vendor_jerk')
_NEAR_ENDS = ('end_lower', 'end_upper', 'end_velocity_offset', 'end_deceleration')
# An arm that rests at the end of its range must be reached in a time that has an end.
_LEAST_END_VELOCITY = 0.1


@dataclass(frozen=True)
class RobotDescription:
    """One arm. Every limit must be given: a missing one is an error, never infinity.

    But what a vendor does not say: then nothing is held against its limits.
    """

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
    comfort_velocity: tuple[float, ...] = setting(description='Limits for every day, rad/s')
    comfort_acceleration: tuple[float, ...] = setting(description='Limits for every day, rad/s^2')
    comfort_jerk: tuple[float, ...] = setting(description='Limits for every day, rad/s^3')
    vendor_acceleration: tuple[float, ...] = setting((), "The vendor's limits, rad/s^2, if it says")
    vendor_jerk: tuple[float, ...] = setting((), "The vendor's limits, rad/s^3, if it says")
    # Where the vendor bounds the velocity by sqrt(2 end_deceleration way) - end_velocity_offset.
    end_lower: tuple[float, ...] = setting((), 'Where the way to the lower ends is 0, rad')
    end_upper: tuple[float, ...] = setting((), 'Where the way to the upper ends is 0, rad')
    end_velocity_offset: tuple[float, ...] = setting((), 'Of the velocity near the ends, rad/s')
    end_deceleration: tuple[float, ...] = setting((), 'Of the velocity near the ends, rad/s^2')

    def __post_init__(self) -> None:
        place = f'robot {self.name!r}'
        validate(self, place)
        if not self.joints or len(self.tool_offset) != 3:
            raise UserError(f'{place}: give at least one joint and three numbers of tool_offset')
        near_ends = _NEAR_ENDS if any(getattr(self, name) for name in _NEAR_ENDS) else ()
        said = tuple(name for name in _UNSAID if getattr(self, name))
        for name in (*_PER_JOINT, *said, *near_ends):
            values = getattr(self, name)
            if len(values) != len(self.joints) or not np.isfinite(values).all():
                raise UserError(
                    f'{place}: {name}={list(values)} must be {len(self.joints)} finite numbers, '
                    f'one for each of {", ".join(self.joints)}'
                )
        if not np.all(np.less(self.position_lower, self.position_upper)):
            raise UserError(f'{place}: position_lower must be below position_upper for each joint')
        for what in _BOUNDED:
            vendor, comfort = getattr(self, f'vendor_{what}'), getattr(self, f'comfort_{what}')
            if not np.all(np.greater(comfort, 0.0)):
                raise UserError(f'{place}: comfort_{what}={list(comfort)} must be above 0')
            if vendor and not np.all(np.less_equal(comfort, vendor)):
                raise UserError(
                    f'{place}: comfort_{what}={list(comfort)} must be at most '
                    f'vendor_{what}={list(vendor)}'
                )
        self._check_ends(place)

    def _check_ends(self, place: str) -> None:
        ends = self._ends()
        if ends is None:
            return
        if (ends.offset < 0.0).any() or (ends.deceleration <= 0.0).any():
            raise UserError(
                f'{place}: end_velocity_offset={list(self.end_velocity_offset)} must be at least 0 '
                f'and end_deceleration={list(self.end_deceleration)} above 0'
            )
        for name, velocity in (
            ('lower', ends.down(np.array(self.position_lower))),
            ('upper', ends.up(np.array(self.position_upper))),
        ):
            for joint in np.flatnonzero(velocity < _LEAST_END_VELOCITY)[:1]:
                raise UserError(
                    f'{place}: at position_{name}={getattr(self, f"position_{name}")[joint]:g} of '
                    f'{self.joints[joint]} end_{name}, end_velocity_offset and end_deceleration '
                    f'leave {velocity[joint]:.3f} rad/s; give a position_{name} that leaves '
                    f'{_LEAST_END_VELOCITY:g}'
                )

    def _ends(self) -> EndVelocities | None:
        if not self.end_deceleration:
            return None
        return EndVelocities(*(np.array(getattr(self, name)) for name in _NEAR_ENDS))

    @classmethod
    def from_file(cls, path: Path, urdf: str = '') -> RobotDescription:
        """Read a file of config/robots; urdf: in place of the file's, if not empty.

        Raises UserError for a missing limit, an unknown name or a value that cannot be.
        """
        return load(cls, path, {'urdf': urdf} if urdf else None)

    @property
    def widest_limits(self) -> str:
        """The vendor's set where the vendor says all of it, else `COMFORT`."""
        return VENDOR if all(getattr(self, name) for name in _UNSAID) else COMFORT

    def limits(self, which: str) -> JointLimits:
        """Return the limits of one set, `COMFORT` or `VENDOR`.

        Raises UserError for those of a vendor that does not say them.
        """
        unsaid = [name for name in _UNSAID if not getattr(self, name)]
        if which == VENDOR and unsaid:
            raise UserError(
                f'robot {self.name!r} has no {" and no ".join(unsaid)}, its vendor may not say '
                f'them; choose limits={COMFORT}'
            )

        def values(name: str) -> np.ndarray:
            return np.array(getattr(self, name), dtype=np.float64)

        return JointLimits(
            values('position_lower'),
            values('position_upper'),
            values(f'{which}_velocity'),
            values(f'{which}_acceleration'),
            values(f'{which}_jerk'),
            self._ends(),
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
        return example_urdf(inside) if inside != self.urdf else user_path(self.urdf)

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


def load_robot_description(name: str, urdf: str = '') -> RobotDescription:
    """Return the arm of a file, or of a name in config/robots.

    urdf: in place of its file's, if not empty.  Raises UserError where there is no such file, or
    something is wrong with it.
    """
    return RobotDescription.from_file(file_or_shipped(name, 'robots', 'robot'), urdf)


@functools.cache
def panda_description() -> RobotDescription:
    """Return the arm of LIBERO, so of simulation and training: config/robots/panda.yaml.

    Raises UserError where that is not installed, or something is wrong with it.
    """
    return RobotDescription.from_file(shipped_file('robots/panda.yaml'))
