"""The part of robosuite's operational-space control (OSC_POSE) that does not need NumPy's BLAS.

What robosuite's controller does between two products of arrays, in one compiled call: of the time
of a control step it took as much as the physics.  The law itself, its matrices, the error of the
rotation and the torques of the null space, are robosuite's own compiled functions.  They are
compiled into this one, whose cache does not notice when robosuite's files change: its version is
pinned.  Importing this module imports robosuite.
"""

from __future__ import annotations

import numpy as np
from robosuite.utils.control_utils import nullspace_torques, opspace_matrices, orientation_error
from robosuite.utils.numba import jit_decorator


@jit_decorator
def operational_space_terms(
    goal_position: np.ndarray,
    goal_rotation: np.ndarray,
    position: np.ndarray,
    rotation: np.ndarray,
    linear_velocity: np.ndarray,
    angular_velocity: np.ndarray,
    stiffness: np.ndarray,
    damping: np.ndarray,
    mass_matrix: np.ndarray,
    jacobian: np.ndarray,
    jacobian_position: np.ndarray,
    jacobian_rotation: np.ndarray,
    rest_joints: np.ndarray,
    joint_positions: np.ndarray,
    joint_velocities: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the torques of the arm are made of.

    Of the tool: positions [3] m, rotations [3, 3], velocities [3] m/s and rad/s.
    stiffness, damping: [6].  mass_matrix: [n, n].  jacobian: [6, n], of it the rows of the
    position and of the rotation [3, n].  joints: [n] rad, rad/s.

    Returns the inertia of the position [3, 3] and the acceleration that is wanted of it [3], the
    same of the rotation, and the torques of the null space [n].  Sums in floating point, and so the
    last bits of an episode, depend on the arrays' layout in memory: give those of `ArmControl`.
    """
    linear = (goal_position - position) * stiffness[0:3] + (-linear_velocity) * damping[0:3]
    rotation_error = orientation_error(goal_rotation, rotation)
    angular = rotation_error * stiffness[3:6] + (-angular_velocity) * damping[3:6]
    _, inertia_position, inertia_rotation, null_space = opspace_matrices(
        mass_matrix, jacobian, jacobian_position, jacobian_rotation
    )
    null_torques = nullspace_torques(
        mass_matrix, null_space, rest_joints, joint_positions, joint_velocities
    )
    return inertia_position, linear, inertia_rotation, angular, null_torques
