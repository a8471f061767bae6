"""Recordings read block by block: the live estimator's numbers, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothvla_ros.smoothness import (
    EstimatorSettings,
    JerkEstimator,
    MotionStream,
    joint_jerk,
    joint_noise_floor,
    velocity_weight,
)

RATE = EstimatorSettings(rate_hz=100.0)


def joints(time: np.ndarray) -> np.ndarray:
    """A smooth motion of three joints."""
    return 0.3 * np.sin(2 * np.pi * 0.3 * np.asarray(time)[..., None] + np.arange(3))


def speeds(time: np.ndarray) -> np.ndarray:
    """Its velocity."""
    rate = 2 * np.pi * 0.3
    return 0.3 * rate * np.cos(rate * np.asarray(time)[..., None] + np.arange(3))


def jerks(time: np.ndarray) -> np.ndarray:
    """Its jerk."""
    rate = 2 * np.pi * 0.3
    return -0.3 * rate**3 * np.cos(rate * np.asarray(time)[..., None] + np.arange(3))


def bad_stream(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Jitter, duplicates, a hole, a gap, a clock that jumps back, values that are not finite."""
    rng = np.random.default_rng(seed)
    stamps = np.arange(240) * 0.01
    stamps[80:] += rng.uniform(-1e-3, 1e-3, 160)
    stamps[120:] += rng.choice([0.02, 0.5])
    stamps[180:] -= rng.choice([0.0, 1.0])
    index = np.sort(np.r_[np.delete(np.arange(240), 40), rng.choice(240, 5)])
    stamps = stamps[index]
    positions, velocities = joints(stamps), speeds(stamps)
    positions[rng.integers(len(index), size=2), 1] = np.nan
    velocities[rng.integers(len(index), size=9), 2] = np.nan
    return stamps, positions, velocities


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 250), max_size=6),
    st.sampled_from([1, 3, 7]),
    st.sampled_from([0.0, 0.1]),
)
@settings(deadline=None, max_examples=40)
def test_any_cut_of_any_stream_reads_as_the_live_estimator_does(seed, cuts, stride, weight_s):
    """Centred and newest jerk, stamps and counts are those of one sample at a time."""
    stamps, positions, velocities = bad_stream(seed)
    live = JerkEstimator(RATE, None, stride=stride, velocity_weight_s=weight_s)
    expected = [
        estimate
        for sample in zip(stamps.tolist(), positions, velocities, strict=True)
        if (estimate := live.add(*sample)) is not None
    ]
    stream = MotionStream(RATE, stride=stride, velocity_weight_s=weight_s, newest=True)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(stamps)), len(stamps)]
    read = [stream.add(stamps[a:b], positions[a:b], velocities[a:b]) for a, b in pairwise(bounds)]
    centres = np.concatenate([part.stamps_s for part in read])
    np.testing.assert_array_equal(centres, [e.centre_stamp_s for e in expected])
    jerk = np.concatenate([part.motions[:, 3] for part in read])
    np.testing.assert_allclose(jerk, [e.joint_jerk for e in expected], rtol=1e-6, atol=1e-7)
    newest = np.concatenate([part.newest[:, 3] for part in read])
    np.testing.assert_allclose(
        newest, [e.newest_joint_jerk for e in expected], rtol=1e-6, atol=1e-6
    )
    assert stream.health == live.health


def test_regular_samples_read_as_the_offline_metric():
    """On a regular grid the readings are `joint_jerk`, which the reward is made from."""
    time = np.arange(200) * 0.01
    stream = MotionStream(RATE)
    read = stream.add(time, joints(time))
    expected = joint_jerk(joints(time), 0.01, RATE)[15:-15]
    np.testing.assert_allclose(read.motions[:, 3], expected, rtol=1e-9, atol=1e-9)
    assert (read.runs == 0).all()


def test_runs_part_at_a_gap():
    """Readings before and after a pause have different runs, also in different blocks."""
    time = np.r_[np.arange(40), np.arange(140, 180)] * 0.01
    stream = MotionStream(RATE)
    first = stream.add(time[:40], joints(time[:40]))
    second = stream.add(time[40:], joints(time[40:]))
    assert set(first.runs) == {0}
    assert set(second.runs) == {1}
    assert stream.health.gaps == 1


def test_velocities_help_where_encoders_are_coarse():
    """With 2 pi/4096 steps a good velocity brings the error from the noise floor to a few %."""
    time = np.arange(400) * 0.01
    step = 2 * np.pi / 4096
    positions = np.round(joints(time) / step) * step
    weight_s = velocity_weight(step, 1e-4)
    alone = MotionStream(RATE).add(time, positions)
    aided = MotionStream(RATE, velocity_weight_s=weight_s).add(time, positions, speeds(time))
    truth = jerks(alone.stamps_s)

    def error(motions: np.ndarray) -> float:
        return float(np.sqrt(np.mean((motions[:, 3] - truth) ** 2)) / np.abs(truth).max())

    assert error(aided.motions) < 0.02 < 0.2 < error(alone.motions)


@pytest.mark.parametrize('newest', [False, True])
@pytest.mark.parametrize('velocity_step', [0.0, 1e-3])
def test_noise_floor_is_the_spread_of_the_readings_of_a_resting_arm(newest, velocity_step):
    """Rounded noise into the estimator comes out with the deviation that was announced."""
    rng = np.random.default_rng(3)
    time = np.arange(4000) * 0.01
    rounding = rng.uniform(-0.5, 0.5, (4000, 3)) * 1e-5
    velocities = rng.uniform(-0.5, 0.5, (4000, 3)) * velocity_step
    stream = MotionStream(
        RATE, velocity_weight_s=velocity_weight(1e-5, velocity_step), newest=newest
    )
    read = stream.add(time, rounding, velocities)
    jerk = (read.newest if newest else read.motions)[:, 3]
    floor = joint_noise_floor(RATE, 1e-5, newest, velocity_step)
    assert jerk.std() == pytest.approx(floor, rel=0.15)


def test_velocities_never_make_the_floor_worse():
    """A velocity is weighted by its own step, so even a poor one costs nothing."""
    alone = joint_noise_floor(RATE, 1e-5)
    floors = [joint_noise_floor(RATE, 1e-5, velocity_step=step) for step in (1e-1, 1e-3, 1e-5)]
    assert alone * (1 + 1e-9) >= floors[0] > floors[1] > floors[2]


@pytest.mark.parametrize(('rate_hz', 'stride'), [(20.0, 1), (100.0, 1), (500.0, 5), (1000.0, 10)])
def test_a_fast_stream_is_read_thirty_times_a_window(rate_hz, stride):
    """100 Hz for 0.3 s: what changes faster does not pass the fit."""
    assert EstimatorSettings(rate_hz=rate_hz).read_stride == stride


def test_reading_at_the_stride_loses_nothing():
    """Mean, RMS and peak at 1 kHz of a rough motion change by less than 1%."""
    rate = EstimatorSettings(rate_hz=1000.0)
    rng = np.random.default_rng(5)
    time = np.arange(6000) * 1e-3
    frequencies, phases = rng.uniform(0.2, 12, 20), rng.uniform(0, 6, 20)
    rough = np.sin(2 * np.pi * frequencies * time[:, None] + phases) / frequencies**3
    positions = rough.sum(axis=1, keepdims=True)
    every, some = (
        np.abs(MotionStream(rate, stride=stride).add(time, positions).motions[:, 3])
        for stride in (1, rate.read_stride)
    )
    for measure in (np.mean, np.max, lambda values: np.sqrt(np.mean(values**2))):
        assert measure(some) == pytest.approx(measure(every), rel=0.01)


def test_samples_of_another_robot_are_refused():
    """Two joints after three are a mistake, not a motion."""
    stream = MotionStream(RATE)
    stream.add(np.array([0.0]), np.zeros((1, 3)))
    with pytest.raises(ValueError, match='shape'):
        stream.add(np.array([0.01]), np.zeros((1, 2)))
