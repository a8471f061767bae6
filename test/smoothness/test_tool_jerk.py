"""Equation 4 against motions whose jerk is known in closed form."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    Part,
    TooFewSamplesError,
    joint_jerk,
    mean_jerk,
    peak_jerk,
    rms_jerk,
    screw_jerk,
    tool_jerk,
    tool_twists,
)

LINKS = (0.6, 0.4)
ESTIMATOR = EstimatorSettings()
DT = ESTIMATOR.period_s


def planar_jacobian(q: np.ndarray) -> np.ndarray:
    """Jacobian of two links in the x-y plane."""
    l1, l2 = LINKS
    s1, c1 = np.sin(q[0]), np.cos(q[0])
    s12, c12 = np.sin(q[0] + q[1]), np.cos(q[0] + q[1])
    jacobian = np.zeros((6, 2))
    jacobian[0] = [-l1 * s1 - l2 * s12, -l2 * s12]
    jacobian[1] = [l1 * c1 + l2 * c12, l2 * c12]
    jacobian[5] = 1.0
    return jacobian


def planar_jerk(motion: np.ndarray) -> np.ndarray:
    """Third derivative of sum l exp(i theta), by the chain rule in the complex plane."""
    total = 0j
    theta = np.zeros(4)
    for length, joint in zip(LINKS, motion.T, strict=True):
        theta = theta + joint
        angle, first, second, third = theta
        rate = 1j * third - 3 * first * second - 1j * first**3
        total += length * rate * np.exp(1j * angle)
    return np.array([total.real, total.imag, 0.0, 0.0, 0.0, motion[3].sum()])


@given(arrays(np.float64, (4, 2), elements=st.floats(-5, 5)))
@settings(deadline=None, max_examples=200)
def test_two_link_arm_in_closed_form(motion):
    """J'' q' + 2 J' q'' + J q''' for any motion of two joints up to the third derivative."""
    expected = planar_jerk(motion)
    scale = max(1.0, float(np.abs(expected).max()))
    got = screw_jerk(motion, planar_jacobian, ESTIMATOR.window_s)
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-5 * scale)


def test_sampled_two_link_arm_in_closed_form():
    """A fourth-order joint motion is what the fit can hold: no error is left but rounding."""
    time = np.arange(40) * DT
    polynomials = [np.poly1d([0.15, -0.6, 0.7, 0.2, 0.1]), np.poly1d([-0.2, 0.7, -0.4, -0.5, 1.0])]
    derivatives = np.array([[p.deriv(k)(time) for p in polynomials] for k in range(4)])
    joints = derivatives[0].T
    jerk = tool_jerk(joints, planar_jacobian, DT, ESTIMATOR)
    expected = np.array([planar_jerk(derivatives[:, :, i]) for i in range(len(time))])
    inside = slice(ESTIMATOR.half_width, -ESTIMATOR.half_width)
    np.testing.assert_allclose(jerk[inside], expected[inside], atol=1e-5)
    np.testing.assert_allclose(
        joint_jerk(joints, DT, ESTIMATOR)[inside], derivatives[3].T[inside], atol=1e-9
    )
    velocity = np.array(
        [planar_jacobian(q) @ v for q, v in zip(joints, derivatives[1].T, strict=True)]
    )
    np.testing.assert_allclose(
        tool_twists(joints, planar_jacobian, DT, ESTIMATOR), velocity, atol=1e-9
    )


def test_a_joint_that_turns_steadily():
    """On a circle the jerk is radius times speed cubed; a steady turn has no angular jerk.

    The turn passes 90 and 180 degrees, where Euler angles would jump.
    """
    speed, radius = 2.0, 0.5

    def jacobian(q: np.ndarray) -> np.ndarray:
        return np.array([[-radius * np.sin(q[0]), 0, -radius * np.cos(q[0]), 0, 1, 0]]).T

    joints = (speed * DT * np.arange(60))[:, None]
    jerk = tool_jerk(joints, jacobian, DT, ESTIMATOR)
    assert mean_jerk(jerk) == pytest.approx(radius * speed**3, rel=1e-6)
    assert peak_jerk(jerk, Part.ROTATION) < 1e-6


def test_eq_4_is_the_third_derivative_of_the_tool_pose():
    """On the Panda: against differences of the pose itself, which no Jacobian has touched.

    Rotation: the second derivative of the angular velocity, from rotation vectors between poses.
    """
    arm = Arm.panda()
    rng = np.random.default_rng(5)
    start = np.array([0.1, -0.4, 0.2, -2.0, 0.3, 1.9, 0.6])
    step = 0.01
    stencil = np.arange(-4, 5) * step
    # Ninth-order differences of the path: Taylor weights for the third derivative at the centre.
    powers = np.vander(stencil, increasing=True).T
    third = np.linalg.solve(powers, 6.0 * np.eye(9)[3])
    halves = (np.arange(8) - 3.5) * step
    second = np.linalg.solve(np.vander(halves, increasing=True).T, 2.0 * np.eye(8)[2])
    for _ in range(5):
        motion = np.vstack([start, rng.uniform(-1, 1, (3, 7)) * [[0.8], [1.5], [4.0]]])

        def joints(t: float, motion: np.ndarray = motion) -> np.ndarray:
            return motion[0] + t * (motion[1] + t * (motion[2] / 2 + t * motion[3] / 6))

        poses = [arm.tool_pose(joints(t)) for t in stencil]
        jerk = screw_jerk(motion, arm.jacobian, ESTIMATOR.window_s)
        path = third @ np.array([position for position, _ in poses])
        np.testing.assert_allclose(jerk[:3], path, rtol=1e-4, atol=1e-3)
        # Mean angular velocity between poses; its error against the velocity half way is of
        # second order in the step.
        turns = np.array(
            [
                Rotation.from_matrix(after @ before.T).as_rotvec() / step
                for (_, before), (_, after) in pairwise(poses)
            ]
        )
        np.testing.assert_allclose(jerk[3:], second @ turns, rtol=5e-3, atol=0.05)


def test_samples_without_a_full_window_are_nan_and_do_not_count():
    """Three samples at each end at 20 Hz; means are over the rest, which sees all samples."""
    rng = np.random.default_rng(0)
    joints = np.cumsum(rng.normal(0, 0.01, (30, 2)), axis=0)
    jerk = tool_jerk(joints, planar_jacobian, DT, ESTIMATOR)
    assert jerk.shape == (30, 6)
    assert np.isnan(jerk[[0, 1, 2, -3, -2, -1]]).all()
    inside = np.linalg.norm(jerk[3:-3], axis=1), np.linalg.norm(jerk[3:-3, :3], axis=1)
    assert np.isfinite(inside[0]).all()
    assert mean_jerk(jerk) == pytest.approx(inside[1].mean())
    assert rms_jerk(jerk) == pytest.approx(np.sqrt(np.mean(inside[1] ** 2)))
    for end in (0, -1):
        moved = joints.copy()
        moved[end] += 0.01
        assert mean_jerk(tool_jerk(moved, planar_jacobian, DT, ESTIMATOR)) != mean_jerk(jerk)


def test_metres_and_radians_are_never_summed():
    """A tool that only spins on the spot has no jerk in metres, and the other way round."""
    spin = np.eye(6)[:, [5]]
    slide = np.eye(6)[:, [0]]
    joints = (0.5 * np.sin(np.arange(40) * DT * 4))[:, None]
    spinning = tool_jerk(joints, lambda q: spin, DT, ESTIMATOR)
    sliding = tool_jerk(joints, lambda q: slide, DT, ESTIMATOR)
    assert mean_jerk(spinning) == 0.0 == mean_jerk(sliding, Part.ROTATION)
    assert mean_jerk(spinning, Part.ROTATION) == mean_jerk(sliding) > 1.0


def test_what_has_no_jerk_is_refused():
    """Too short, not finite, wrong shape, another rate: an error, never a number."""
    joints = np.zeros((7, 2))
    tool_jerk(joints, planar_jacobian, DT, ESTIMATOR)
    with pytest.raises(TooFewSamplesError, match='6 samples are fewer than the 7'):
        tool_jerk(joints[:6], planar_jacobian, DT, ESTIMATOR)
    with pytest.raises(ValueError, match='equal rate'):
        tool_jerk(joints, planar_jacobian, 0.01, ESTIMATOR)
    with pytest.raises(ValueError, match='shape'):
        tool_jerk(joints[0], planar_jacobian, DT, ESTIMATOR)
    joints[3, 1] = np.nan
    with pytest.raises(ValueError, match='finite'):
        tool_jerk(joints, planar_jacobian, DT, ESTIMATOR)
    with pytest.raises(ValueError, match='shape'):
        mean_jerk(np.zeros((10, 7)))
    with pytest.raises(ValueError, match='no sample'):
        mean_jerk(np.full((5, 6), np.nan))


def _minimum_jerk(time: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
    s = np.clip(time / duration, 0, 1)
    moving = (time >= 0) & (time <= duration)
    position = 10 * s**3 - 15 * s**4 + 6 * s**5
    return position, moving * (60 - 360 * s + 360 * s**2) / duration**3


def _sine(time: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
    rate = 2 * np.pi / duration
    return np.sin(rate * time), -(rate**3) * np.cos(rate * time)


def _spline(time: np.ndarray, duration: float) -> tuple[np.ndarray, np.ndarray]:
    """Quintic through seven random points, its jerk continuous."""
    knots = np.linspace(-1, duration + 1, 7)
    spline = make_interp_spline(knots, np.random.default_rng(2).uniform(-1, 1, 7), k=5)
    return spline(time), spline.derivative(3)(time)


@pytest.mark.parametrize(
    ('motion', 'inside_percent', 'whole_percent'),
    [(_minimum_jerk, 3.0, 7.0), (_sine, 1.0, 1.0), (_spline, 1.0, 1.0)],
)
def test_accuracy_of_the_estimator(motion, inside_percent, whole_percent):
    """RMS error as a share of the true peak at 100 Hz, joints in steps of 1e-5 rad, 4 s motions.

    A minimum-jerk reach jumps in jerk at both ends, which no smoothing estimator follows; half a
    window away from them, and on smooth motions everywhere, only noise and bias are left.
    """
    estimator = EstimatorSettings(rate_hz=100.0)
    duration = 4.0
    time = np.arange(-0.5, duration + 0.5, 0.01)
    position, expected = motion(time, duration)
    amplitudes = np.linspace(0.5, 2.0, 7)
    joints = np.round(np.outer(position, amplitudes) / 1e-5) * 1e-5
    error = joint_jerk(joints, 0.01, estimator) - np.outer(expected, amplitudes)
    peak = np.abs(expected).max() * amplitudes
    half = estimator.window_s / 2

    def percent(first: float, last: float) -> float:
        rows = (time >= first) & (time <= last)
        return float(np.sqrt(np.mean((error[rows] / peak) ** 2)) * 100)

    assert percent(half, duration - half) < inside_percent
    assert percent(0, duration) < whole_percent
    raw = np.diff(joints, 3, axis=0)[1:-1] / 0.01**3
    raw_error = np.sqrt(np.mean(((raw - np.outer(expected, amplitudes)[3:-2]) / peak) ** 2)) * 100
    assert raw_error > 5 * percent(0, duration)
