"""LDLJ, SPARC and the roughness of commands against published values and closed forms."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from smoothvla_ros.smoothness import (
    commanded_jerk,
    log_dimensionless_jerk,
    log_dimensionless_jerk_of,
    spectral_arc_length,
    total_variation,
)

# The example in the code that Balasubramanian et al. published with their papers, 2012 and 2015.
PUBLISHED_SPEED = np.exp(-5 * np.arange(-1, 1, 0.01) ** 2)
PUBLISHED_LDLJ = -5.81636
PUBLISHED_SPARC = -1.41403


def minimum_jerk_speed(samples: int) -> np.ndarray:
    """Speed of a unit reach in unit time."""
    s = np.linspace(0, 1, samples)
    return 30 * s**2 - 60 * s**3 + 30 * s**4


def test_published_ldlj():
    """Five digits of the authors' own example."""
    assert round(log_dimensionless_jerk(PUBLISHED_SPEED, 0.01), 5) == PUBLISHED_LDLJ


def test_minimum_jerk_reach_has_204_8():
    """720 from the integral of jerk squared, over the peak speed 15/8 squared."""
    assert 720 / (15 / 8) ** 2 == 204.8
    speed = minimum_jerk_speed(20_001)
    assert log_dimensionless_jerk(speed, 1 / 20_000) == pytest.approx(-math.log(204.8), abs=1e-3)
    s = np.linspace(0, 1, 20_001)
    jerk = 60 - 360 * s + 360 * s**2
    ldlj = log_dimensionless_jerk_of(jerk, 1 / 20_000, 15 / 8, 1.0)
    assert ldlj == pytest.approx(-5.322, abs=1e-3)


@given(st.floats(0.1, 10), st.floats(0.1, 10))
@settings(deadline=None, max_examples=25)
def test_shape_metrics_ignore_size_and_ldlj_ignores_duration(size, pace):
    """Twice as far, or at half the pace, is as smooth; so slowing down cannot buy an LDLJ."""
    speed = minimum_jerk_speed(200)
    assert log_dimensionless_jerk(size * speed, 0.01 * pace) == pytest.approx(
        log_dimensionless_jerk(speed, 0.01)
    )
    assert spectral_arc_length(size * speed, 0.01) == pytest.approx(
        spectral_arc_length(speed, 0.01)
    )


def test_a_velocity_vector_counts_turns_that_its_speed_hides():
    """A circle at constant speed: no jerk in the speed, omega squared times speed in the vector."""
    dt = 0.001
    angle = 2 * np.pi * np.arange(1000) * dt
    velocity = np.column_stack([np.cos(angle), np.sin(angle)])
    assert log_dimensionless_jerk(np.ones(1000), dt) == math.inf
    assert log_dimensionless_jerk(velocity, dt) == pytest.approx(-4 * math.log(2 * np.pi), abs=5e-3)


def test_there_and_back_have_one_ldlj():
    """A velocity along one axis counts by its magnitude, as the norm of a vector does."""
    assert log_dimensionless_jerk(-PUBLISHED_SPEED, 0.01) == log_dimensionless_jerk(
        PUBLISHED_SPEED, 0.01
    )


def test_published_sparc():
    """Five digits of the authors' own example."""
    assert round(spectral_arc_length(PUBLISHED_SPEED, 0.01), 5) == PUBLISHED_SPARC


def test_sparc_against_the_closed_form_of_a_gaussian():
    """The spectrum of a Gaussian is a Gaussian; its arc is integrated without any transform."""
    width = 0.25
    speed = np.exp(-0.5 * (np.arange(-2, 2, 0.005) / width) ** 2)
    last = math.sqrt(-2 * math.log(0.05)) / (2 * np.pi * width)
    frequency = np.linspace(0, last, 4001)
    spectrum = np.exp(-0.5 * (2 * np.pi * width * frequency) ** 2)
    arc = np.hypot(np.diff(frequency) / last, np.diff(spectrum)).sum()
    assert spectral_arc_length(speed, 0.005) == pytest.approx(-arc, abs=2e-3)


def test_sparc_counts_submovements():
    """One reach, then two, three, four in a row: each time less smooth."""
    reach = minimum_jerk_speed(60)
    values = [spectral_arc_length(np.tile(reach, count), 0.02) for count in (1, 2, 3, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[-1] > 0.5


def test_sparc_at_20_hz_uses_the_whole_spectrum():
    """The cut-off equals Nyquist there and is allowed; below 20 Hz it is refused."""
    assert math.isfinite(spectral_arc_length(minimum_jerk_speed(32), 0.05))
    with pytest.raises(ValueError, match='half the sampling rate'):
        spectral_arc_length(minimum_jerk_speed(32), 0.06)


def test_sparc_counts_the_frequency_on_the_cut_off():
    """A policy that alternates its actions at 20 Hz shakes the arm at 10 Hz, the last one kept."""
    speed = np.resize([1.5, 0.5], 32)
    spectrum = np.abs(np.fft.rfft(speed, 512))
    spectrum /= spectrum[0]
    assert spectrum[-1] == pytest.approx(0.5)
    arc = np.hypot(1 / 256, np.diff(spectrum)).sum()
    assert spectral_arc_length(speed, 0.05) == pytest.approx(-arc, rel=1e-9)


def test_a_tool_that_never_moves_has_no_shape():
    """NaN, not the best possible score."""
    assert math.isnan(log_dimensionless_jerk(np.zeros(50), 0.05))
    assert math.isnan(spectral_arc_length(np.zeros(50), 0.05))


@pytest.mark.parametrize('speed', [np.ones(1), np.array([1.0, np.nan, 1.0])])
def test_shape_metrics_refuse_what_they_cannot_measure(speed):
    """Too few samples and values that are not finite."""
    with pytest.raises(ValueError, match='finite'):
        log_dimensionless_jerk(speed, 0.05)
    with pytest.raises(ValueError, match='finite'):
        spectral_arc_length(speed, 0.05)


def test_commanded_jerk_is_that_of_the_composed_path():
    """Steps composed to a path on SE(3), then differenced: positions thrice, rotations on SO(3)."""
    dt = 0.05
    actions = np.random.default_rng(4).uniform(-1, 1, (20, 7))
    positions = np.vstack([np.zeros(3), np.cumsum(0.05 * actions[:, :3], axis=0)])
    rotations = [Rotation.identity()]
    for action in actions:
        rotations.append(Rotation.from_rotvec(0.5 * action[3:6]) * rotations[-1])
    turns = np.array([(b * a.inv()).as_rotvec() / dt for a, b in pairwise(rotations)])
    expected = np.hstack([np.diff(positions, 3, axis=0) / dt**3, np.diff(turns, 2, axis=0) / dt**2])
    np.testing.assert_allclose(commanded_jerk(actions, dt), expected, atol=1e-6)


def test_the_gripper_is_left_out():
    """Opening and closing on every step is not a rough path."""
    actions = np.zeros((20, 7))
    actions[:, 6] = np.resize([-1.0, 1.0], 20)
    assert not commanded_jerk(actions, 0.05).any()
    assert total_variation(actions) == 0.0


def test_total_variation_by_hand():
    """Norms of the changes over the number of actions: (5 + 0 + 1) / 4 tenths."""
    actions = np.zeros((4, 7))
    actions[1:, 0] = 0.3
    actions[1:, 4] = 0.4
    actions[3, 1] = 0.1
    assert total_variation(actions) == pytest.approx(0.6 / 4)


def test_actions_of_another_shape_are_refused():
    """A chunk that was not flattened, too few steps, a NaN."""
    with pytest.raises(ValueError, match='shape'):
        commanded_jerk(np.zeros((2, 7)), 0.05)
    with pytest.raises(ValueError, match='shape'):
        total_variation(np.zeros((5, 8, 7)))
    with pytest.raises(ValueError, match='finite'):
        total_variation(np.full((5, 7), np.nan))
