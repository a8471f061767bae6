"""What published policies are told about the arm, as LIBERO's data sets write it."""

from __future__ import annotations

import math

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.libero_frames import base_position
from smoothvla_ros.records import Observation

SIZE = 8
TOOL_SIZE = 6
"""How many of them are the tool's: the rest are the fingers."""


def libero_proprioception(arm: Arm, observation: Observation, data_set: str) -> np.ndarray:
    """Return float64 [8]: tool position, m, in the scene; its rotation vector, rad; fingers, m.

    data_set: names the scenes, see `base_position`.
    Raises UserError for a value that is not finite or a wrong number of joints or fingers.
    """
    fingers = np.asarray(observation.gripper_positions, dtype=np.float64)
    if fingers.shape != (2,) or not np.isfinite(fingers).all():
        raise UserError(
            f'observation: gripper_positions={fingers.tolist()}, the policy needs two finite '
            "numbers; check the gripper's driver"
        )
    position, rotation = arm.tool_pose(observation.joint_positions)
    in_scene = position + np.array(base_position(data_set, observation.instruction))
    return np.concatenate([in_scene, libero_rotation_vector(rotation), fingers])


def libero_rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Return axis times angle [3], rad, of a rotation matrix, on the branch of LIBERO's data.

    A tool that points down is turned by about pi, where the axis could as well point the other way.
    The simulator's quaternion keeps its x positive there and is never folded, so that the angle
    runs past pi; of the two quaternions of a rotation this takes that one.
    """
    quaternion = _quaternion(rotation)
    if quaternion[0] < 0.0:
        quaternion = -quaternion
    axis, real = quaternion[:3], float(np.clip(quaternion[3], -1.0, 1.0))
    length = math.sqrt(1.0 - real * real)
    if math.isclose(length, 0.0):
        return np.zeros(3)
    return axis * (2.0 * math.acos(real) / length)


def _quaternion(rotation: np.ndarray) -> np.ndarray:
    """Return one of the two unit quaternions (x, y, z, w) of a rotation matrix.

    From the eigenvector of its largest eigenvalue (Bar-Itzhack, 2000): stable at every angle.
    """
    r = rotation
    symmetric = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], 0.0, 0.0, 0.0],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], 0.0, 0.0],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], 0.0],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], np.trace(r)],
        ]
    )
    return np.linalg.eigh(symmetric)[1][:, -1]
