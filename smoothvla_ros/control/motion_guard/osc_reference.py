"""What an action of LIBERO really moves: robosuite's operational-space control, as a model.

A delta is not a motion. It sets a goal at an offset from the present pose, and the arm is drawn
there by an impedance (stiffness k, critically damped) for one control period; at k = 150 1/s^2 and
20 Hz a constant delta of d metres moves 0.26 d a step. Four things bend that picture, and each is
part of the model because leaving it out costs centimetres a chunk:

- robosuite decouples position and orientation each with its own inertia, although the arm couples
  them: a translation turns the hand. Hence the joint-space inertia, of which the largest part are
  the simulated rotors.
- the torques are cut at their limits, gravity included: a large rotation is slow.
- the hand's rotation is slowed by a drag with the square of its speed.
- what the tool leaves free of the joints is drawn to a posture.

What moves in the model are joints under these torques, not a pose: an arm that is stretched out
stays inside of its reach, as LIBERO's does, and no inverse kinematics has to find it there. The
torques of this arm may also be more than the real one's limits of velocity and acceleration allow;
the model keeps these limits itself, so that it waits for the arm instead of running away from it.

The model goes on from the last joints that it commanded; nothing of it is measured.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.control.motion_guard.action_space import (
    Knot,
    Unreachable,
    hermite,
)
from smoothvla_ros.control.motion_guard.profile import followable
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.inverse import InverseKinematics
from smoothvla_ros.kinematics.joint_limits import JointLimits
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.kinematics.rotations import rotation_matrix, rotation_vector
from smoothvla_ros.libero import (
    ACTION_DIMENSION,
    ACTION_SPACE,
    CONTROL_PERIOD_S,
    POSE,
    POSE_DIMENSION,
    ROTATION,
    ROTATION_SCALE_RAD,
    TRANSLATION,
    TRANSLATION_SCALE_M,
)

# So far beyond the reach a chunk may aim: the arm then stays at the edge. What aims farther was not
# made for this arm.
_BEYOND_M, _BEYOND_RAD = 0.02, 0.2
_SUBSTEPS = 10
# With what comes before and after them an action takes nine ticks, of the twelve that it lasts at
# 250 Hz and 20 actions a second; a slower guard does several parts in one.
_SUBSTEPS_A_TICK = 2
# So far the tool may come off the way it is led in one action; a radian counts as much as so many
# metres.
_ASTRAY_M = 1e-3
_METRES_A_RADIAN = 0.2
# Of the limits that the profile has for following.
_SHARE_OF_LIMITS = 0.95
# With nothing commanded, joints that are slower than this are at rest: rad/s.
_REST = 1e-3


@dataclass(frozen=True)
class OscParameters:
    """The controller that the policy was trained with, as seen by its tool."""

    rotor_inertia: tuple[float, ...] = setting(
        description='Added to the inertia of the links, one a joint, kg m^2'
    )
    torque_limit: tuple[float, ...] = setting(description='Largest torque of each joint, N m')
    action_space: str = setting(ACTION_SPACE, 'Name in ActionChunk.action_space')
    scale_m: float = setting(TRANSLATION_SCALE_M, 'Metres of a translation of 1', minimum=1e-6)
    scale_rad: float = setting(ROTATION_SCALE_RAD, 'Radians of a rotation of 1', minimum=1e-6)
    stiffness: tuple[float, ...] = setting(
        (150.0,) * 6, 'Of the impedance, translation and rotation, 1/s^2', minimum=1.0
    )
    damping_ratio: float = setting(1.0, 'Of the impedance', minimum=0.1, maximum=10.0)
    posture_stiffness: float = setting(
        10.0, 'Of the joints that the tool leaves free, towards the posture, 1/s^2', minimum=0.0
    )
    gravity_torque: bool = setting(True, "Whether the limits hold for gravity's torque too")
    rotational_drag: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), 'In axes of the tool, N m s^2', minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self, 'action space')
        for name in ('rotor_inertia', 'torque_limit'):
            if not np.all(np.greater(getattr(self, name), 0.0)):
                raise UserError(f'action space: {name} must be above 0 for each joint')
        if len(self.stiffness) != POSE_DIMENSION or len(self.rotational_drag) != 3:
            raise UserError('action space: give six numbers of stiffness, three of drag')

    @classmethod
    def from_file(cls, path: Path) -> OscParameters:
        """Read a file of config/action_spaces; raises UserError for what is missing or wrong."""
        return load(cls, path)


@dataclass(frozen=True)
class ToolKnot(Knot):
    """A knot with the tool: position [3] m, rotation [3, 3], and the goal of the rotation."""

    position: np.ndarray
    rotation: np.ndarray
    goal_rotation: np.ndarray


class OscReference:
    """The action space of `OscParameters`: a tool-pose delta [6] in [-1, 1] and a gripper."""

    dimension = ACTION_DIMENSION

    def __init__(
        self,
        parameters: OscParameters,
        arm: Arm,
        inverse: InverseKinematics,
        limits: JointLimits | None = None,
    ) -> None:
        """arm, inverse: of the arm that is to move.  Raises UserError where the joints differ.

        limits: of which the model keeps velocity and acceleration; None: it has none, as the
        simulated arm.
        """
        joints = len(arm.joint_names)
        for name in ('rotor_inertia', 'torque_limit'):
            if len(getattr(parameters, name)) != joints:
                raise UserError(
                    f'action space {parameters.action_space!r}: {name} has '
                    f'{len(getattr(parameters, name))} values for {joints} joints'
                )
        self.name = parameters.action_space
        self._arm = arm
        self._inverse = inverse
        self._per_velocity = self._per_acceleration = np.zeros(joints)
        if limits is not None:
            self._per_velocity = 1.0 / (_SHARE_OF_LIMITS * limits.velocity)
            self._per_acceleration = 1.0 / (_SHARE_OF_LIMITS * limits.acceleration)
        self._scale = np.repeat([parameters.scale_m, parameters.scale_rad], 3)
        self._stiffness = np.array(parameters.stiffness)
        self._damping = 2 * parameters.damping_ratio * np.sqrt(self._stiffness)
        self._posture_stiffness = parameters.posture_stiffness
        self._posture_damping = 2 * np.sqrt(parameters.posture_stiffness)
        self._rotors = np.diag(parameters.rotor_inertia)
        self._torque_limit = np.array(parameters.torque_limit)
        self._gravity = parameters.gravity_torque
        self._drag = np.array(parameters.rotational_drag)

    @classmethod
    def for_robot(
        cls, parameters: OscParameters, robot: RobotDescription, limits: str, rate_hz: float
    ) -> OscReference:
        """Return the model for a robot that a guard moves at `rate_hz` under one set of limits.

        limits: `COMFORT` or `VENDOR`.  Raises UserError for a URDF or limits that do not fit.
        """
        arm, given = robot.arm(), robot.limits(limits)
        inverse = InverseKinematics(arm, given.lower, given.upper, np.array(robot.posture))
        return cls(parameters, arm, inverse, followable(given, 1.0 / rate_hz))

    def at_rest(self, joints: np.ndarray) -> ToolKnot:
        """Return the knot of an arm that stands at `joints` [n] rad."""
        position, rotation = self._arm.tool_pose(joints)
        return ToolKnot(joints, np.zeros_like(joints), position, rotation, rotation)

    def require_reachable(self, knot: Knot, actions: np.ndarray) -> None:
        """Raise Unreachable where the pose that a chunk leads to cannot be reached."""
        assert isinstance(knot, ToolKnot)
        moved = self._gain * self._scale * np.clip(actions[:, POSE], -1.0, 1.0).sum(axis=0)
        position = knot.position + moved[TRANSLATION]
        rotation = rotation_matrix(moved[ROTATION]) @ knot.rotation
        near = _BEYOND_M, _BEYOND_RAD
        solution = self._inverse.solve(knot.joints, position, rotation, 30, near)
        if solution.position_error > _BEYOND_M or solution.rotation_error > _BEYOND_RAD:
            raise Unreachable(
                f'the chunk ends at {np.round(position, 3).tolist()} m, and the nearest that the '
                f'joints allow is {1e3 * solution.position_error:.0f} mm and '
                f'{solution.rotation_error:.2f} rad away'
            )

    def first_target(self, knot: Knot, actions: np.ndarray) -> np.ndarray:
        """Return where the motion goes on from: a delta has no place of its own."""
        return knot.joints

    def after(
        self, knot: Knot, action: np.ndarray | None, dt: float
    ) -> Generator[None, None, ToolKnot]:
        """Return the knot after one control period under an action [7], or under none."""
        assert isinstance(knot, ToolKnot)
        if action is None:
            return self._slowed_down(knot, dt)
        delta = self._scale * np.clip(action[POSE], -1.0, 1.0)
        # robosuite keeps the goal of the rotation where a delta has none at all.
        turns = np.abs(delta[ROTATION]).max() > 1e-9
        goal = rotation_matrix(delta[ROTATION]) @ knot.rotation if turns else knot.goal_rotation
        place = knot.position + delta[TRANSLATION]
        moved, velocities, led = yield from self._impedance(knot, place, goal, dt)
        yield
        return self._as_far_as_led(knot, moved, velocities, led, goal)

    def _as_far_as_led(
        self,
        knot: ToolKnot,
        moved: np.ndarray,
        velocities: np.ndarray,
        led: np.ndarray,
        goal: np.ndarray,
    ) -> ToolKnot:
        """Return the knot after joints moved [n], as far as that leads the tool where it was led.

        led: [6] m and rad, what the model's Jacobian makes of the motion. Where the arm is
        stretched out, or a joint is at the end of its range, the tool goes elsewhere, and where
        that ends no linear model knows: the motion is then made in part.
        """
        free = knot.joints + moved
        joints = self._inside(free)
        velocities[joints != free] = 0.0
        position, rotation = self._arm.tool_pose(joints)
        astray = position - knot.position - led[:3]
        turned = rotation_vector(rotation @ knot.rotation.T) - led[3:]
        distance = math.hypot(*astray, *(_METRES_A_RADIAN * turned))
        if distance > _ASTRAY_M:
            # The distance grows with the square of the motion.
            share = math.sqrt(_ASTRAY_M / distance)
            joints = knot.joints + share * (joints - knot.joints)
            velocities *= share
            position, rotation = self._arm.tool_pose(joints)
        return ToolKnot(joints, velocities, position, rotation, goal)

    def between(self, start: Knot, stop: Knot, fraction: float, dt: float) -> ToolKnot:
        """Return the knot at `fraction` of an action."""
        assert isinstance(stop, ToolKnot)
        joints, velocities = hermite(start, stop, fraction, dt)
        return ToolKnot(joints, velocities, *self._arm.tool_pose(joints), stop.goal_rotation)

    @cached_property
    def _gain(self) -> np.ndarray:
        """Return which part of a constant delta is moved in a control step, [6]: about 0.26."""
        moved, speed = np.zeros(6), np.zeros(6)
        step = CONTROL_PERIOD_S / 100
        for _ in range(30):
            offset = -np.ones(6)
            for _ in range(100):
                speed = speed - step * (self._stiffness * offset + self._damping * speed)
                offset = offset + step * speed
            moved = offset + 1.0
        return moved

    def _slowed_down(self, knot: ToolKnot, dt: float) -> ToolKnot:
        """Return the knot after dt in which only the damping acts, as far as the limits allow.

        A control period without a goal does not exist in LIBERO; an arm without a policy does.
        """
        lost = 1.0 - math.exp(-float(self._damping.min()) * dt)
        beyond = float(np.abs(knot.velocities * self._per_acceleration).max()) * lost / dt
        velocities = knot.velocities * (1.0 - lost / max(1.0, beyond))
        if np.abs(velocities).max() < _REST:
            velocities = np.zeros_like(velocities)
        joints = self._inside(knot.joints + dt / 2 * (knot.velocities + velocities))
        position, rotation = self._arm.tool_pose(joints)
        return ToolKnot(joints, velocities, position, rotation, rotation)

    def _inside(self, joints: np.ndarray) -> np.ndarray:
        return np.minimum(np.maximum(joints, self._inverse.lower), self._inverse.upper)

    def _impedance(
        self, knot: ToolKnot, goal_position: np.ndarray, goal_rotation: np.ndarray, dt: float
    ) -> Generator[None, None, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return what the joints move in dt, their velocities then, and where the tool is led.

        [n] rad, [n] rad/s, and [6] m and rad from where it is.

        Inertia and Jacobian are those of the middle of the way, as far as it is known. Of every
        substep: torques from offset of the tool and velocities of the joints, cut at their limits;
        drag from the turning of the tool; the joints' acceleration and velocity, each shortened as
        a whole where it is beyond a limit. What is linear in that is put into two matrices first,
        because these substeps are most of what a chunk costs.
        """
        joints = len(knot.joints)
        middle = knot.joints + dt / 2 * knot.velocities
        _, _, jacobian = self._arm.pose_and_jacobian(middle)
        mass = self._arm.mass_matrix(middle) + self._rotors
        inverse_mass = np.linalg.inv(mass)
        yield

        reach = jacobian @ inverse_mass
        mobility = reach @ jacobian.T
        apparent = np.zeros((6, 6))
        apparent[:3, :3] = _inverse(mobility[:3, :3])
        apparent[3:, 3:] = _inverse(mobility[3:, 3:])
        to_torque = -jacobian.T @ apparent
        spare = (np.eye(joints) - jacobian.T @ _inverse(mobility) @ reach) @ mass
        gravity = self._arm.gravity_torque(middle) if self._gravity else 0.0
        low, high = -self._torque_limit - gravity, self._torque_limit - gravity
        step = dt / _SUBSTEPS
        yield

        # From (offset, velocities) to (torque, turning of the tool in its own axes).
        forces = np.zeros((joints + 3, 6 + joints))
        forces[:joints, :6] = to_torque * self._stiffness
        forces[:joints, 6:] = (to_torque * self._damping) @ jacobian
        forces[:joints, 6:] -= self._posture_damping * spare
        turn = jacobian[3:].T @ knot.rotation
        forces[joints:, 6:] = turn.T
        constant = np.zeros(joints + 3)
        constant[:joints] = spare @ (self._posture_stiffness * (self._inverse.posture - middle))
        # From (torque cut, turning with its square) to the joints' acceleration.
        motion = np.concatenate([inverse_mass, -inverse_mass @ turn * self._drag], axis=1)
        offset_a_step = step * jacobian

        state = np.empty(6 + joints)
        offset, velocities = state[:6], state[6:]
        offset[:3] = knot.position - goal_position
        offset[3:] = rotation_vector(knot.rotation @ goal_rotation.T)
        velocities[:] = knot.velocities
        moved = np.zeros(joints)
        for substep in range(_SUBSTEPS):
            if substep % _SUBSTEPS_A_TICK == 0:
                yield
            acting = forces @ state
            acting += constant
            torque, turning = acting[:joints], acting[joints:]
            np.maximum(torque, low, out=torque)
            np.minimum(torque, high, out=torque)
            turning *= np.abs(turning)
            acceleration = motion @ acting
            beyond = float(np.abs(acceleration * self._per_acceleration).max())
            velocities += acceleration * (step / max(1.0, beyond))
            beyond = float(np.abs(velocities * self._per_velocity).max())
            if beyond > 1.0:
                velocities /= beyond
            offset += offset_a_step @ velocities
            moved += velocities
        moved *= step
        return moved, velocities.copy(), jacobian @ moved


def _inverse(matrix: np.ndarray) -> np.ndarray:
    """Return the inverse, or where there is none the pseudo-inverse, as robosuite has it."""
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(matrix)
