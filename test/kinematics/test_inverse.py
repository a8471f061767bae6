"""Inverse kinematics: exact where it can be, inside of the limits and calm where it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm, InverseKinematics
from smoothvla_ros.kinematics.rotations import rotation_matrix, rotation_vector

LOWER = np.array([-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973])
UPPER = np.array([2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973])
READY = np.array([0.0, -0.16, 0.0, -2.44, 0.0, 2.23, 0.785])


@pytest.fixture(scope='module')
def panda():
    return Arm.panda()


@pytest.fixture(scope='module')
def inverse(panda):
    return InverseKinematics(panda, LOWER, UPPER, READY)


def test_pose_and_jacobian_are_those_of_their_own_functions(panda):
    """One pass through the chain gives the same numbers as two."""
    position, rotation, jacobian = panda.pose_and_jacobian(READY)
    np.testing.assert_array_equal(position, panda.tool_pose(READY)[0])
    np.testing.assert_array_equal(rotation, panda.tool_pose(READY)[1])
    np.testing.assert_array_equal(jacobian, panda.jacobian(READY))


def test_mass_matrix_is_symmetric_and_positive(panda):
    """Kinetic energy is positive whatever moves."""
    mass = panda.mass_matrix(READY)
    np.testing.assert_allclose(mass, mass.T, atol=1e-12)
    assert np.linalg.eigvalsh(mass).min() > 0


def test_reachable_poses_are_reached(panda, inverse):
    """A pose a few centimetres and degrees away is met within the tolerance, inside the range."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        start = READY + generator.uniform(-0.4, 0.4, 7)
        position, rotation = panda.tool_pose(start)
        target = position + generator.uniform(-0.05, 0.05, 3)
        axes = rotation_matrix(generator.uniform(-0.2, 0.2, 3)) @ rotation
        solution = inverse.solve(start, target, axes)
        reached, reached_axes = panda.tool_pose(solution.joints)
        assert np.linalg.norm(reached - target) < 5e-5
        assert np.linalg.norm(rotation_vector(axes @ reached_axes.T)) < 1e-4
        assert np.all((solution.joints >= LOWER) & (solution.joints <= UPPER))


def test_pose_out_of_reach_is_approached_inside_of_the_limits(panda, inverse):
    """Two metres away: no joint leaves its range, and the error says that it was not reached."""
    _, rotation = panda.tool_pose(READY)
    solution = inverse.solve(READY, np.array([2.0, 0.0, 0.5]), rotation, iterations=40)
    assert np.all((solution.joints >= LOWER) & (solution.joints <= UPPER))
    assert solution.position_error > 0.5


def test_a_step_stays_small_near_a_singularity(panda, inverse):
    """A stretched arm that is told to stretch on does not throw its elbow about."""
    stretched = np.array([0.0, 0.0, 0.0, -0.07, 0.0, 1.6, 0.8])
    position, rotation = panda.tool_pose(stretched)
    beyond = np.array([0.0, 0.0, 0.01])
    undamped = np.linalg.pinv(panda.jacobian(stretched)) @ [*beyond, 0.0, 0.0, 0.0]
    solution = inverse.solve(stretched, position + beyond, rotation, iterations=2)
    assert 0.0 < solution.position_error < 0.01
    assert np.abs(solution.joints - stretched).max() < 0.1 < np.abs(undamped).max()


def test_joint_at_its_bound_is_not_driven_on(panda):
    """The other six take over, and the tool still comes to where it was asked."""
    upper = UPPER.copy()
    upper[0] = READY[0]
    position, rotation = panda.tool_pose(READY)
    target = position + np.array([0.0, 0.02, 0.0])
    free = InverseKinematics(panda, LOWER, UPPER, READY).solve(READY, target, rotation)
    assert free.joints[0] > READY[0] + 0.01
    held = InverseKinematics(panda, LOWER, upper, READY).solve(READY, target, rotation)
    assert held.joints[0] <= upper[0]
    assert held.position_error < 5e-5


def test_empty_ranges_and_a_posture_outside_are_refused(panda):
    """One line that says what is wrong."""
    with pytest.raises(UserError, match='not inside'):
        InverseKinematics(panda, UPPER, LOWER)
    with pytest.raises(UserError, match='not inside'):
        InverseKinematics(panda, LOWER, UPPER, UPPER + 1)
    with pytest.raises(UserError, match='7 values'):
        InverseKinematics(panda, LOWER[:6], UPPER[:6])
