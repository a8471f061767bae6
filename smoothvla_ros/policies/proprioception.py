"""What the policy is told about its own body, derived from the joints through the kinematics."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.records import Observation

TOOL_POSITION = slice(0, 3)
TOOL_ROTATION = slice(3, 9)
FINGER_POSITIONS = slice(9, 11)
TOOL_TWIST = slice(11, 17)

_FINGERS = 2


def proprioception(arm: Arm, observation: Observation) -> np.ndarray:
    """Return float32 [17]: tool position, rotation, fingers and twist in the robot base frame.

    Tool position [3] m; the first two columns of the tool's rotation matrix [6] (continuous, Zhou
    et al. 2019, "On the Continuity of Rotation Representations"); finger positions [2] m; tool
    twist [6] m/s and rad/s, which tells how the arm was moving when the last chunk ended.

    Raises UserError for NaN or infinity, naming the field, and for a wrong number of joints.
    """
    joints = len(arm.joint_names)
    checked_values(observation, 'joint_positions', joints)
    checked_values(observation, 'joint_velocities', joints)
    fingers = checked_values(observation, 'gripper_positions', _FINGERS)
    position, rotation = arm.tool_pose(observation.joint_positions)
    twist = arm.tool_twist(observation.joint_positions, observation.joint_velocities)
    columns = rotation[:, :2].T.reshape(-1)
    return np.concatenate([position, columns, fingers, twist]).astype(np.float32)


def checked_values(observation: Observation, name: str, count: int) -> np.ndarray:
    """Return a field of an observation as float64 [count].

    Raises UserError for NaN or infinity, and for another number of values.
    """
    values = np.asarray(getattr(observation, name), dtype=np.float64)
    if values.shape != (count,):
        raise UserError(
            f'observation: {name} has shape {list(values.shape)}, the policy needs [{count}]; '
            'check the joint names of this robot'
        )
    if not np.isfinite(values).all():
        raise UserError(
            f"observation: {name}={values.tolist()} is not finite; check this joint's driver"
        )
    return values
