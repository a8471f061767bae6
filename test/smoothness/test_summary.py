"""The summary of an episode, and what is there to see through a policy that games it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import Trajectory
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    TooFewSamplesError,
    log_dimensionless_jerk,
    mean_jerk,
    summarise,
    summarise_trajectory,
    tool_jerk,
)

ESTIMATOR = EstimatorSettings()
DT = 0.05
SUBSTEP = 0.002
SLIDE = np.eye(6)[:, [0]]
REACH_M = 0.2


def slide(_: np.ndarray) -> np.ndarray:
    """Jacobian of a tool on a straight rail."""
    return SLIDE


def reach(duration: float, dt: float = DT, rest: float = 0.5) -> np.ndarray:
    """A minimum-jerk reach of 0.2 m on the rail with rest on either side."""
    time = np.arange(round((duration + 2 * rest) / dt) + 1) * dt - rest
    s = np.clip(time / duration, 0, 1)
    return (REACH_M * (10 * s**3 - 15 * s**4 + 6 * s**5))[:, None]


def still_actions(joints: np.ndarray) -> np.ndarray:
    return np.zeros((len(joints) - 1, 7))


def summary(joints: np.ndarray, **kwargs):
    return summarise(joints, slide, still_actions(joints), DT, ESTIMATOR, **kwargs)


def test_a_minimum_jerk_reach_in_numbers():
    """0.2 m in 1.6 s: near 1 m/s^3 as paper and arithmetic have it, 0.2 m of path, LDLJ -5.3."""
    result = summary(reach(1.6, rest=0.15))
    # Four extrema of the acceleration, 10/sqrt(3) in units of reach over time squared.
    exact = 4 * (10 / math.sqrt(3)) * REACH_M / 1.6**3
    assert result.mean_jerk == pytest.approx(exact, rel=0.15)
    assert result.path_length == pytest.approx(REACH_M, rel=0.01)
    assert result.duration_s == pytest.approx(1.9)
    assert result.mean_speed == pytest.approx(REACH_M / 1.9, rel=0.03)
    assert result.ldlj == pytest.approx(-math.log(204.8), abs=0.3)
    assert -1.6 < result.sparc < -1.3
    assert result.rms_jerk < result.peak_jerk < 60 * REACH_M / 1.6**3
    assert (result.mean_angular_jerk, result.rms_angular_jerk, result.peak_angular_jerk) == (0,) * 3


def test_fine_samples_give_the_ldlj_of_the_textbook():
    """At 1 kHz, resting half a window at either end, the estimated jerk gives -ln 204.8."""
    estimator = EstimatorSettings(rate_hz=1000.0, window_s=0.02)
    joints = reach(1.0, dt=0.001, rest=0.01)
    result = summarise(joints, slide, None, 0.001, estimator)
    assert result.ldlj == pytest.approx(-5.32, abs=0.05)
    speed = np.abs(np.gradient(joints[10:-10, 0], 0.001))
    assert log_dimensionless_jerk(speed, 0.001) == pytest.approx(-5.32, abs=0.05)


def test_slowness_buys_jerk_but_not_ldlj_and_shows():
    """Twice the duration cuts RMS jerk near eightfold; LDLJ, speed and duration tell."""
    quick, slow = summary(reach(1.5, rest=0.15)), summary(reach(3.0, rest=0.15))
    assert 6.5 < quick.rms_jerk / slow.rms_jerk < 8.5
    assert slow.ldlj == pytest.approx(quick.ldlj, abs=0.3)
    assert slow.mean_speed < 0.6 * quick.mean_speed
    assert slow.duration_s > 1.8 * quick.duration_s
    assert slow.path_length == pytest.approx(quick.path_length, rel=0.01)


def test_idling_dilutes_the_mean_and_shows():
    """Rest after the reach halves the mean jerk and leaves the peak and the path."""
    joints = reach(1.6, rest=0.15)
    padded = np.vstack([joints, np.repeat(joints[-1:], 60, axis=0)])
    usual, idle = summary(joints), summary(padded)
    assert idle.mean_jerk < 0.5 * usual.mean_jerk
    assert idle.peak_jerk == usual.peak_jerk
    assert idle.path_length == pytest.approx(usual.path_length, rel=1e-3)
    assert idle.duration_s > 2 * usual.duration_s


def test_standing_still_has_no_shape_and_no_path():
    """Zero jerk comes with zero speed and zero path, and no LDLJ or SPARC to boast of."""
    result = summary(np.zeros((40, 1)))
    assert (result.mean_jerk, result.mean_speed, result.path_length) == (0, 0, 0)
    assert math.isnan(result.ldlj)
    assert math.isnan(result.sparc)


@pytest.mark.parametrize('tremor_hz', [10, 20])
def test_substeps_show_what_20_hz_samples_cannot(tremor_hz):
    """A tremor at half the sampling rate or all of it is invisible at 20 Hz, plain in substeps."""
    fine = np.arange(round(2.6 / SUBSTEP) + 1) * SUBSTEP
    calm = reach(1.6, dt=SUBSTEP)
    tremor = calm + 1e-4 * np.sin(2 * np.pi * tremor_hz * fine + 1.0)[:, None]
    coarse = slice(None, None, round(DT / SUBSTEP))
    steady = summary(calm[coarse], substep_joint_positions=calm, substep_dt=SUBSTEP)
    shaky = summary(tremor[coarse], substep_joint_positions=tremor, substep_dt=SUBSTEP)
    assert shaky.mean_jerk == pytest.approx(steady.mean_jerk, rel=0.05)
    assert shaky.mean_jerk_substep > 10 * steady.mean_jerk_substep
    assert steady.mean_jerk_substep == pytest.approx(steady.mean_jerk, rel=0.25)
    assert math.isnan(summary(calm[coarse]).mean_jerk_substep)


def test_single_precision_substeps_are_fine_enough():
    """The recorder keeps substeps as float32; that costs less than a percent."""
    joints = reach(1.6, dt=SUBSTEP) + 2.0
    exact = summary(reach(1.6), substep_joint_positions=joints, substep_dt=SUBSTEP)
    stored = summary(
        reach(1.6), substep_joint_positions=joints.astype(np.float32), substep_dt=SUBSTEP
    )
    assert stored.mean_jerk_substep == pytest.approx(exact.mean_jerk_substep, rel=0.01)


def test_a_trajectory_is_measured_as_its_arrays_are():
    """The reward's, the monitor's and the report's jerk is one number."""
    arm = Arm.panda()
    rng = np.random.default_rng(0)
    steps, per_step = 30, 25
    rest = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
    time = np.arange(steps * per_step + 1) * SUBSTEP
    fine = rest + 0.2 * np.sin(1.5 * time[:, None] + np.arange(7))
    joints = fine[::per_step]
    trajectory = Trajectory(
        actions=rng.uniform(-1, 1, (steps, 7)),
        joint_positions=joints,
        joint_velocities=np.zeros_like(joints),
        tool_positions=np.zeros((steps + 1, 3)),
        tool_rotations=np.zeros((steps + 1, 3, 3)),
        substep_joint_positions=fine.astype(np.float32),
        control_period_s=DT,
        substep_period_s=SUBSTEP,
    )
    result = summarise_trajectory(trajectory, arm.jacobian, ESTIMATOR)
    assert result.mean_jerk == mean_jerk(tool_jerk(joints, arm.jacobian, DT, ESTIMATOR))
    assert all(math.isfinite(value) for value in dataclasses.asdict(result).values())
    length = np.sum(np.linalg.norm(np.diff([arm.tool_pose(q)[0] for q in joints], axis=0), axis=1))
    assert result.path_length == pytest.approx(length, rel=2e-3)
    assert result.mean_jerk_substep == pytest.approx(result.mean_jerk, rel=0.2)


def test_what_cannot_be_summarised_is_an_error():
    """An episode shorter than a window has no jerk; actions must belong to the samples."""
    with pytest.raises(TooFewSamplesError):
        summary(np.zeros((6, 1)))
    with pytest.raises(ValueError, match='do not lie between'):
        summarise(np.zeros((20, 1)), slide, np.zeros((20, 7)), DT, ESTIMATOR)
