"""Fits the model of a controller to motions that were recorded under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from smoothvla_ros.control.motion_guard.action_space import completed
from smoothvla_ros.control.motion_guard.osc_reference import (
    OscParameters,
    OscReference,
    ToolKnot,
)
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.inverse import InverseKinematics
from smoothvla_ros.kinematics.rotations import rotation_vector

# A radian of error counts as much as so many metres: the tool's reach from its wrist.
_METRES_A_RADIAN = 0.2
_STEP = 1e-3
# A prior of this weight keeps a parameter that the motions say nothing about where it was.
_PRIOR = 0.002


@dataclass(frozen=True)
class Recording:
    """Actions [k, 7] of dt seconds from joints [n] rad at rest or moving (rad/s), and their end.

    position [3] m and rotation [3, 3]: of the tool after the last action.
    """

    joints: np.ndarray
    velocities: np.ndarray
    actions: np.ndarray
    dt: float
    position: np.ndarray
    rotation: np.ndarray


def errors(
    parameters: OscParameters,
    recordings: Sequence[Recording],
    arm: Arm,
    inverse: InverseKinematics,
) -> np.ndarray:
    """Return [R, 6]: where the model's tool ends off the recorded one, m and rad."""
    space = OscReference(parameters, arm, inverse)
    rows = []
    for recording in recordings:
        knot = space.at_rest(recording.joints)
        knot = ToolKnot(
            recording.joints,
            recording.velocities,
            knot.position,
            knot.rotation,
            knot.goal_rotation,
        )
        for action in recording.actions:
            knot = completed(space.after(knot, action, recording.dt))
        turn = rotation_vector(knot.rotation @ recording.rotation.T)
        rows.append(np.concatenate([knot.position - recording.position, turn]))
    return np.array(rows)


def identified(
    parameters: OscParameters,
    recordings: Sequence[Recording],
    arm: Arm,
    inverse: InverseKinematics,
    iterations: int = 4,
) -> OscParameters:
    """Return parameters with rotor inertia and drag fitted to recordings, by Gauss and Newton.

    Stiffness, damping and torque limits are the controller's own settings and stay. The logarithms
    of the others are fitted, so that none becomes negative.
    """
    start = np.log([*parameters.rotor_inertia, *np.maximum(parameters.rotational_drag, 1e-3)])
    scale = np.array([1.0, 1.0, 1.0, *[_METRES_A_RADIAN] * 3])

    def with_values(logarithms: np.ndarray) -> OscParameters:
        values = np.exp(logarithms).tolist()
        return replace(
            parameters, rotor_inertia=tuple(values[:-3]), rotational_drag=tuple(values[-3:])
        )

    def residuals(logarithms: np.ndarray) -> np.ndarray:
        found = errors(with_values(logarithms), recordings, arm, inverse) * scale
        return np.concatenate([found.ravel(), _PRIOR * (logarithms - start)])

    present = start
    for _ in range(iterations):
        here = residuals(present)
        steps = _STEP * np.eye(len(start))
        columns = [(residuals(present + step) - here) / _STEP for step in steps]
        change = np.linalg.lstsq(np.stack(columns, axis=1), -here, rcond=None)[0]
        present = present + np.clip(change, -0.5, 0.5)
    return with_values(present)
