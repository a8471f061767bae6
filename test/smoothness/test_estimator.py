"""The polynomial fit, its settings, and the noise it lets through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import savgol_coeffs

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    PolynomialFit,
    joint_jerk,
    joint_noise_floor,
    tool_jerk,
    tool_noise_floor,
)


@pytest.mark.parametrize(
    ('rate_hz', 'samples'), [(20.0, 7), (50.0, 15), (100.0, 31), (500.0, 151), (1000.0, 301)]
)
def test_one_window_of_time_at_every_rate(rate_hz, samples):
    """0.3 s is seven samples at 20 Hz; the window is odd and never longer than asked."""
    estimator = EstimatorSettings(rate_hz=rate_hz)
    assert estimator.window_samples == samples == len(estimator.grid_s)
    assert estimator.grid_s[-1] - estimator.grid_s[0] <= estimator.window_s + 1e-12


def test_rounding_does_not_cost_a_sample():
    """0.29 s at 200 Hz is 28.999999999999996 periods on either side, and means 29."""
    assert EstimatorSettings(rate_hz=200.0, window_s=0.29).half_width == 29


def test_a_short_window_bears_stamps_that_are_a_little_late():
    """A quarter of five samples is one period: half a period more is still no gap."""
    estimator = EstimatorSettings(rate_hz=20.0, window_s=0.2, order=3)
    assert estimator.window_samples == 5
    assert estimator.longest_step_s == pytest.approx(0.075)


@pytest.mark.parametrize('where', [0, 3, 6])
def test_regular_fit_is_savitzky_golay(where):
    """Coefficients equal scipy's, at the centre, the oldest and the newest sample."""
    estimator = EstimatorSettings()
    ours = PolynomialFit(estimator.grid_s, 4).derivatives_at(estimator.grid_s[where])
    for derivative in range(4):
        theirs = savgol_coeffs(7, 4, deriv=derivative, delta=0.05, pos=where, use='dot')
        np.testing.assert_allclose(ours[derivative], theirs, atol=1e-9 * 20**derivative)


@given(
    st.lists(st.floats(-0.4, 0.4), min_size=31, max_size=31),
    st.lists(st.floats(-10, 10), min_size=5, max_size=5),
    st.floats(-0.15, 0.15),
)
@settings(deadline=None, max_examples=50)
def test_irregular_stamps_are_fitted_where_they_are(jitter, coefficients, at_s):
    """A fourth-order motion sampled with up to 40% jitter comes back exactly, at any time."""
    stamps = (np.arange(-15, 16) + np.array(jitter)) * 0.01
    motion = np.polynomial.Polynomial(coefficients)
    fitted = PolynomialFit(stamps, 4).derivatives_at(at_s) @ motion(stamps)
    expected = [motion(at_s), *(motion.deriv(k)(at_s) for k in (1, 2, 3))]
    np.testing.assert_allclose(fitted, expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(
    ('rate_hz', 'window_s', 'passed'),
    [
        (20.0, 0.3, {1: 0.94, 3: 0.58, 5: 0.17, 10: 0.0}),
        (500.0, 0.05, {5: 0.97, 10: 0.87, 20: 0.56}),
    ],
)
def test_share_of_a_jerk_that_the_estimator_passes(rate_hz, window_s, passed):
    """What the metric is blind to is a number we publish; the substep window fills it in."""
    estimator = EstimatorSettings(rate_hz=rate_hz, window_s=window_s)
    time = np.arange(round(4 * rate_hz)) / rate_hz
    for frequency, share in passed.items():
        rate = 2 * np.pi * frequency
        motion = np.sin(rate * time + 0.3)[:, None]
        jerk = joint_jerk(motion, 1 / rate_hz, estimator)[:, 0] / -(rate**3)
        rows = ~np.isnan(jerk)
        basis = np.cos(rate * time[rows] + 0.3)
        assert jerk[rows] @ basis / (basis @ basis) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize('newest', [False, True])
def test_noise_floor_is_what_rounding_gives(newest):
    """A joint that drifts through thousands of encoder steps reads the floor, within 5%."""
    estimator = EstimatorSettings(rate_hz=100.0)
    step = 2 * np.pi / 4096
    joints = np.random.default_rng(0).uniform(0, 3, 40_000)
    rounding = np.round(joints / step) * step - joints
    if newest:
        fit = PolynomialFit(estimator.grid_s, estimator.order)
        coefficients = fit.derivatives_at(float(estimator.grid_s[-1]))[3]
        jerk = np.convolve(rounding, coefficients[::-1], mode='valid')
    else:
        jerk = joint_jerk(rounding[:, None], 0.01, estimator)[:, 0]
    assert np.nanstd(jerk) == pytest.approx(joint_noise_floor(estimator, step, newest), rel=0.05)


def test_tool_noise_floor_of_a_resting_panda():
    """RMS norm of the tool's jerk under encoder noise alone, metres and radians apart."""
    arm = Arm.panda()
    rest = np.array([0.1, -0.4, 0.2, -2.0, 0.3, 1.9, 0.6])
    estimator = EstimatorSettings()
    step = 1e-4
    rng = np.random.default_rng(1)
    joints = rest + rng.uniform(-step / 2, step / 2, (3000, 7))
    jerk = tool_jerk(joints, arm.jacobian, estimator.period_s, estimator)[3:-3]
    measured = [
        np.sqrt(np.mean(np.sum(jerk[:, part] ** 2, axis=1))) for part in (slice(0, 3), slice(3, 6))
    ]
    floor = tool_noise_floor(estimator, step, arm.jacobian(rest))
    np.testing.assert_allclose(measured, floor, rtol=0.05)


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'rate_hz': 0.0}, 'rate_hz=0.0 is too small'),
        ({'window_s': float('nan')}, 'window_s=nan is not a finite number'),
        ({'order': 2}, 'order=2 is too small'),
        ({'window_s': 0.2}, 'holds 5 samples .* needs 6; widen the window'),
    ],
)
def test_settings_that_measure_nothing_are_refused(values, message):
    """A window that the polynomial would pass through exactly smooths nothing."""
    with pytest.raises(UserError, match=message):
        EstimatorSettings(**values)


def test_stamps_that_coincide_are_refused():
    """Too few different times raise instead of giving huge numbers."""
    with pytest.raises(ValueError, match='determine'):
        PolynomialFit(np.zeros(9), 4)
    with pytest.raises(ValueError, match='determine'):
        PolynomialFit(np.arange(4.0), 4)
