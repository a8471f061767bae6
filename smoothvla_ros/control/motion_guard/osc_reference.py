"""What an action of LIBERO really moves: robosuite's operational-space control, as a model.

A delta is not a motion. It sets a goal at an offset from the present pose, and the arm is drawn
there by an impedance (stiffness k, critically damped) for one control period; at k = 150 1/s^2 and
20 Hz a constant delta of d metres moves 0.26 d a step. Three things bend that picture, and each is
part of the model because leaving it out costs centimetres a chunk:

- robosuite decouples position and orientation each with its own inertia, although the arm couples
  them: a translation turns the hand. Hence the joint-space inertia, of which the largest part are
  the simulated rotors.
- the torques are cut at their limits, gravity included: a large rotation is slow.
- the hand's rotation is slowed by a drag with the square of its speed.

The model goes on from the last pose that it commanded. In a simulator and on an arm it is a
reference for the joints, found by inverse kinematics; nothing of it is measured.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from smoothvla_ros.configuration import load, setting, validate
from smoothvla_ros.control.motion_guard.action_space import (
    Knot,
    Unreachable,
    at_fraction,
    cubic,
    hermite,
)
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.inverse import InverseKinematics, Solution
from smoothvla_ros.kinematics.rotations import rotation_matrix, rotation_vector

POSE_DELTA = 6
# Of the inverse kinematics, at a knot and at the predicted end of a chunk.
_REACHED_M, _REACHED_RAD = 2e-3, 0.02
_SUBSTEPS = 10
# With nothing commanded, a tool that is slower than this is at rest: m/s and rad/s.
_REST = 1e-3
_IDENTITY = np.eye(6)


@dataclass(frozen=True)
class OscParameters:
    """The controller that the policy was trained with, as seen by its tool."""

    rotor_inertia: tuple[float, ...] = setting(
        description='Added to the inertia of the links, one a joint, kg m^2'
    )
    torque_limit: tuple[float, ...] = setting(description='Largest torque of each joint, N m')
    action_space: str = setting('libero_osc_pose', 'Name in ActionChunk.action_space')
    scale_m: float = setting(0.05, 'Metres of a translation of 1', minimum=1e-6)
    scale_rad: float = setting(0.5, 'Radians of a rotation of 1', minimum=1e-6)
    stiffness: tuple[float, ...] = setting(
        (150.0,) * 6, 'Of the impedance, translation and rotation, 1/s^2', minimum=1.0
    )
    damping_ratio: float = setting(1.0, 'Of the impedance', minimum=0.1, maximum=10.0)
    gravity_torque: bool = setting(True, "Whether the limits hold for gravity's torque too")
    rotational_drag: tuple[float, ...] = setting(
        (0.0, 0.0, 0.0), 'In axes of the tool, N m s^2', minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self, 'action space')
        for name in ('rotor_inertia', 'torque_limit'):
            if not np.all(np.greater(getattr(self, name), 0.0)):
                raise UserError(f'action space: {name} must be above 0 for each joint')
        if len(self.stiffness) != POSE_DELTA or len(self.rotational_drag) != 3:
            raise UserError('action space: give six numbers of stiffness, three of drag')

    @classmethod
    def from_file(cls, path: Path) -> OscParameters:
        """Read a file of config/action_spaces; raises UserError for what is missing or wrong."""
        return load(cls, path)


@dataclass(frozen=True)
class ToolKnot(Knot):
    """A knot with the tool: position [3] m, rotation [3, 3], twist [6], goal of the rotation."""

    position: np.ndarray
    rotation: np.ndarray
    twist: np.ndarray
    goal_rotation: np.ndarray


class OscReference:
    """The action space of `OscParameters`: a tool-pose delta [6] in [-1, 1] and a gripper."""

    dimension = POSE_DELTA + 1

    def __init__(self, parameters: OscParameters, arm: Arm, inverse: InverseKinematics) -> None:
        """arm, inverse: of the arm that is to move.  Raises UserError where the joints differ."""
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
        self._scale = np.repeat([parameters.scale_m, parameters.scale_rad], 3)
        self._stiffness = np.array(parameters.stiffness)
        self._damping = 2 * parameters.damping_ratio * np.sqrt(self._stiffness)
        self._rotors = np.diag(parameters.rotor_inertia)
        self._torque_limit = np.array(parameters.torque_limit)
        self._gravity = parameters.gravity_torque
        self._drag = np.array(parameters.rotational_drag)

    def at_rest(self, joints: np.ndarray) -> ToolKnot:
        """Return the knot of an arm that stands at `joints` [n] rad."""
        position, rotation = self._arm.tool_pose(joints)
        still = np.zeros_like(joints)
        return ToolKnot(joints, still, position, rotation, np.zeros(6), rotation)

    def require_reachable(self, knot: Knot, actions: np.ndarray) -> None:
        """Raise Unreachable where the pose that a chunk leads to cannot be reached."""
        assert isinstance(knot, ToolKnot)
        moved = self._gain * self._scale * np.clip(actions[:, :6], -1.0, 1.0).sum(axis=0)
        position = knot.position + moved[:3]
        rotation = rotation_matrix(moved[3:]) @ knot.rotation
        reach = _REACHED_M, _REACHED_RAD
        solution = self._inverse.solve(knot.joints, position, rotation, 30, reach)
        _require(solution, position, 'the chunk ends at')

    def first_target(self, knot: Knot, actions: np.ndarray) -> np.ndarray:
        """Return where the motion goes on from: a delta has no place of its own."""
        return knot.joints

    def after(
        self, knot: Knot, action: np.ndarray | None, dt: float
    ) -> Generator[None, None, ToolKnot]:
        """Return the knot after one control period under an action [7], or under none."""
        assert isinstance(knot, ToolKnot)
        if action is None:
            position, rotation, twist = self._slowed_down(knot, dt)
            goal = rotation
        else:
            delta = self._scale * np.clip(action[:6], -1.0, 1.0)
            # robosuite keeps the goal of the rotation where a delta has none at all.
            turns = np.abs(delta[3:]).max() > 1e-9
            goal = rotation_matrix(delta[3:]) @ knot.rotation if turns else knot.goal_rotation
            position, rotation, twist = yield from self._impedance(
                knot, knot.position + delta[:3], goal, dt
            )
        yield
        predicted = knot.joints + dt * knot.velocities
        solution = self._inverse.solve(predicted, position, rotation)
        _require(solution, position, 'the tool is to be at')
        yield
        if action is None and not twist.any():
            velocities = np.zeros_like(predicted)
        else:
            velocities = self._inverse.velocities(solution.joints, twist)
        return ToolKnot(solution.joints, velocities, position, rotation, twist, goal)

    def between(self, start: Knot, stop: Knot, fraction: float, dt: float) -> ToolKnot:
        """Return the knot at `fraction` of an action."""
        assert isinstance(start, ToolKnot)
        assert isinstance(stop, ToolKnot)
        joints, velocities = hermite(start, stop, fraction, dt)
        # Both ends of the tool's way, the rotation from the start's on.
        here, there = np.zeros(6), np.empty(6)
        here[:3], there[:3] = start.position, stop.position
        there[3:] = rotation_vector(stop.rotation @ start.rotation.T)
        moved, twist = at_fraction(cubic(here, start.twist, there, stop.twist, dt), fraction, dt)
        rotation = rotation_matrix(moved[3:]) @ start.rotation
        return ToolKnot(joints, velocities, moved[:3], rotation, twist, stop.goal_rotation)

    @cached_property
    def _gain(self) -> np.ndarray:
        """Return which part of a constant delta is moved a step of 1/20 s, [6]: about 0.26."""
        moved, speed = np.zeros(6), np.zeros(6)
        step = 0.05 / 100
        for _ in range(30):
            offset = -np.ones(6)
            for _ in range(100):
                speed = speed - step * (self._stiffness * offset + self._damping * speed)
                offset = offset + step * speed
            moved = offset + 1.0
        return moved

    def _slowed_down(self, knot: ToolKnot, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return position, rotation and twist after dt in which only the damping acts.

        A control period without a goal does not exist in LIBERO; an arm without a policy does.
        """
        left = np.exp(-self._damping * dt)
        moved = knot.twist * (1.0 - left) / self._damping
        twist = knot.twist * left
        if np.abs(twist).max() < _REST:
            twist = np.zeros(6)
        return knot.position + moved[:3], rotation_matrix(moved[3:]) @ knot.rotation, twist

    def _impedance(
        self, knot: ToolKnot, goal_position: np.ndarray, goal_rotation: np.ndarray, dt: float
    ) -> Generator[None, None, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return position, rotation and twist after dt; inertia and Jacobian are the start's.

        Of every substep: torque from (offset, twist), cut at its limits; drag from the turning of
        the tool; (offset, twist) anew from all of them. What is linear in that is put into two
        matrices first, because these substeps are most of what a chunk costs.
        """
        _, _, jacobian = self._arm.pose_and_jacobian(knot.joints)
        inverse_mass = np.linalg.inv(self._arm.mass_matrix(knot.joints) + self._rotors)
        reach = jacobian @ inverse_mass
        mobility = reach @ jacobian.T
        joints = len(knot.joints)
        apparent = np.zeros((6, 6))
        apparent[:3, :3], apparent[3:, 3:] = _inverses(mobility[:3, :3], mobility[3:, 3:])
        to_torque = -jacobian.T @ apparent
        gravity = self._arm.gravity_torque(knot.joints) if self._gravity else 0.0
        low, high = -self._torque_limit - gravity, self._torque_limit - gravity
        step = dt / _SUBSTEPS

        # From (offset, twist) to (torque, turning of the tool in its own axes).
        forces = np.zeros((joints + 3, 12))
        forces[:joints, :6] = to_torque * self._stiffness
        forces[:joints, 6:] = to_torque * self._damping
        forces[joints:, 9:] = knot.rotation.T
        # From (offset, twist, torque cut, turning with its square) to the next (offset, twist).
        motion = np.zeros((12, 12 + joints + 3))
        twist_to = motion[6:]
        twist_to[:, 6:12] = _IDENTITY
        twist_to[:, 12:-3] = step * reach
        twist_to[:, -3:] = twist_to[:, 12:-3] @ (-(jacobian[3:].T @ knot.rotation) * self._drag)
        motion[:6] = step * twist_to
        motion[:6, :6] += _IDENTITY

        yield
        everything = np.empty(12 + joints + 3)
        state, acting = everything[:12], everything[12:]
        torque, turning = acting[:joints], acting[joints:]
        state[:3] = knot.position - goal_position
        state[3:6] = rotation_vector(knot.rotation @ goal_rotation.T)
        state[6:] = knot.twist
        for _ in range(_SUBSTEPS):
            np.dot(forces, state, out=acting)
            np.maximum(torque, low, out=torque)
            np.minimum(torque, high, out=torque)
            turning *= np.abs(turning)
            state[:] = motion @ everything
        return (
            goal_position + state[:3],
            rotation_matrix(state[3:6]) @ goal_rotation,
            state[6:].copy(),
        )


def _inverses(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return both inverses, or where there is none the pseudo-inverses, as robosuite has it."""
    both = np.stack([first, second])
    try:
        return np.linalg.inv(both)
    except np.linalg.LinAlgError:
        return np.linalg.pinv(both)


def _require(solution: Solution, position: np.ndarray, what: str) -> None:
    if solution.position_error > _REACHED_M or solution.rotation_error > _REACHED_RAD:
        raise Unreachable(
            f'{what} {np.round(position, 3).tolist()} m, and the nearest that the joints allow is '
            f'{1e3 * solution.position_error:.0f} mm and {solution.rotation_error:.2f} rad away'
        )
