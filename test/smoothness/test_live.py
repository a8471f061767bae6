"""The live estimator: the same numbers as offline, and what it does with a bad stream."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    JerkEstimator,
    Part,
    StreamHealth,
    joint_jerk,
    log_dimensionless_jerk_of,
    mean_jerk,
    peak_jerk,
    rms_jerk,
    spectral_arc_length,
    summarise,
    tool_jerk,
    tool_twists,
)
from smoothvla_ros.smoothness.episode_jerk import JerkAccumulator

SETTINGS = EstimatorSettings()


@pytest.fixture(scope='module')
def arm():
    return Arm.panda()


def joints(time: np.ndarray) -> np.ndarray:
    """A smooth motion of seven joints."""
    rest = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
    return rest + 0.3 * np.sin(2 * np.pi * 0.3 * np.asarray(time)[..., None] + np.arange(7))


def feed(estimator: JerkEstimator, stamps, positions):
    return [estimator.add(float(s), q) for s, q in zip(stamps, positions, strict=True)]


@pytest.mark.parametrize('rate_hz', [20.0, 100.0])
@pytest.mark.parametrize('origin_s', [0.0, 1.78e9])
def test_episode_equals_offline(arm, rate_hz, origin_s):
    """Mean, RMS and peak over an episode are the offline ones to 1e-9, also at Unix stamps."""
    estimator_settings = EstimatorSettings(rate_hz=rate_hz)
    time = np.arange(60) / rate_hz
    positions = joints(time) + np.random.default_rng(0).normal(0, 1e-3, (60, 7))
    live = JerkEstimator(estimator_settings, arm.jacobian)
    feed(live, origin_s + time, positions)
    offline = tool_jerk(positions, arm.jacobian, 1 / rate_hz, estimator_settings)
    episode = live.episode
    assert episode.estimates == 60 - 2 * estimator_settings.half_width
    for got, expected in [
        (episode.mean_jerk, mean_jerk(offline)),
        (episode.rms_jerk, rms_jerk(offline)),
        (episode.peak_jerk, peak_jerk(offline)),
        (episode.mean_angular_jerk, mean_jerk(offline, Part.ROTATION)),
        (episode.rms_angular_jerk, rms_jerk(offline, Part.ROTATION)),
        (episode.peak_angular_jerk, peak_jerk(offline, Part.ROTATION)),
    ]:
        assert got == pytest.approx(expected, rel=1e-9, abs=0)
    whole = summarise(positions, arm.jacobian, None, 1 / rate_hz, estimator_settings)
    assert episode.ldlj == pytest.approx(whole.ldlj, rel=1e-9)
    assert live.whole_episode().sparc == pytest.approx(whole.sparc, rel=1e-6)


@pytest.mark.parametrize('rate_hz', [20, 100, 400])
def test_live_sparc_is_of_the_last_second(arm, rate_hz):
    """It stands from one second of readings to the next, and then holds all that has come."""
    estimator_settings = EstimatorSettings(rate_hz=rate_hz)
    stride = estimator_settings.read_stride
    live = JerkEstimator(estimator_settings, arm.jacobian, stride=stride)
    first = estimator_settings.window_samples + rate_hz - stride
    positions = joints(np.arange(2 * first) / rate_hz)
    seen = []
    for index, row in enumerate(positions):
        live.add(index / rate_hz, row)
        seen.append(live.episode.sparc)
    changes = np.flatnonzero(np.diff(np.nan_to_num(seen, nan=1.0))) + 1
    assert changes[0] == first - 1
    assert set(np.diff(changes)) == {rate_hz}
    so_far = tool_twists(positions[:first], arm.jacobian, 1 / rate_hz, estimator_settings)
    speeds = np.linalg.norm(so_far[:, :3], axis=1)[::stride]
    expected = spectral_arc_length(speeds, stride / rate_hz)
    assert seen[first - 1] == pytest.approx(expected, rel=1e-3)


def test_sparc_begins_anew_after_a_gap(arm):
    """Speeds on both sides of a pause are no profile; what follows it is judged alone."""
    time = np.r_[np.arange(30), np.arange(90, 150)] * 0.05
    positions = joints(time)
    broken = JerkEstimator(SETTINGS, arm.jacobian)
    feed(broken, time, positions)
    alone = JerkEstimator(SETTINGS, arm.jacobian)
    feed(alone, time[30:], positions[30:])
    assert broken.whole_episode().sparc == alone.whole_episode().sparc
    assert broken.episode.estimates > alone.episode.estimates
    live = JerkEstimator(SETTINGS, arm.jacobian)
    seen = [live.episode.sparc for _ in feed_one_by_one(live, time, positions)]
    first = SETTINGS.window_samples + 20 - 2
    assert np.isnan(seen).nonzero()[0].tolist() == [*range(first), *range(30, 30 + first)]


def feed_one_by_one(estimator, stamps, positions):
    for stamp, row in zip(stamps, positions, strict=True):
        yield estimator.add(float(stamp), row)


def test_statistics_of_a_span_forget_what_lies_before_it(arm):
    """A rough second, then a calm minute: the peak and the mean of the last ten are calm ones."""
    time = np.arange(0, 61, 0.05)
    positions = joints(time)
    positions[:20] += np.random.default_rng(0).normal(0, 0.01, (20, 7))
    spanned = JerkEstimator(SETTINGS, arm.jacobian, statistics_s=10.0)
    whole = JerkEstimator(SETTINGS, arm.jacobian)
    for estimator in (spanned, whole):
        feed(estimator, time, positions)
    last = tool_jerk(positions, arm.jacobian, 0.05, SETTINGS)[-200 - SETTINGS.half_width :]
    assert 190 <= spanned.episode.estimates <= 200
    norms = np.linalg.norm(last[: -SETTINGS.half_width, :3], axis=1)[-spanned.episode.estimates :]
    assert spanned.episode.mean_jerk == pytest.approx(norms.mean(), rel=1e-9)
    assert spanned.episode.peak_jerk == pytest.approx(norms.max(), rel=1e-9)
    assert whole.episode.peak_jerk > 10.0 * spanned.episode.peak_jerk
    assert whole.episode.ldlj < spanned.episode.ldlj


def test_the_shape_of_a_span_is_by_its_fastest_reading():
    """A reach that has slowed down within the span: LDLJ takes the peak speed, not the latest."""
    accumulator = JerkAccumulator(period_s=0.05, span_s=10.0)
    for index in range(160):
        accumulator.add(np.full(6, 2.0), speed=1.0 if index == 70 else 0.1)
    norms = np.full(160, 2.0 * np.sqrt(3.0))
    expected = log_dimensionless_jerk_of(norms, 0.05, 1.0, 160 * 0.05)
    assert accumulator.result().ldlj == pytest.approx(expected, rel=1e-9)


def test_each_estimate_belongs_to_the_middle_of_its_window(arm):
    """The centred numbers are late by half a window and say so; the newest are not late."""
    time = np.arange(20) * 0.05
    positions = joints(time)
    estimates = feed(JerkEstimator(SETTINGS, arm.jacobian), time, positions)
    assert estimates[:6] == [None] * 6
    offline = tool_jerk(positions, arm.jacobian, 0.05, SETTINGS)
    offline_joints = joint_jerk(positions, 0.05, SETTINGS)
    for index in range(6, 20):
        estimate = estimates[index]
        assert estimate.stamp_s == time[index]
        assert estimate.centre_stamp_s == time[index - 3]
        np.testing.assert_array_equal(estimate.tool_screw_jerk, offline[index - 3])
        np.testing.assert_array_equal(estimate.joint_jerk, offline_joints[index - 3])


def test_newest_sample_is_close_enough_for_an_alarm(arm):
    """At 100 Hz with encoder steps the newest-sample error stays below 20% of the peak."""
    estimator = EstimatorSettings(rate_hz=100.0)
    time = np.arange(400) * 0.01
    positions = np.round(joints(time) / 1e-5) * 1e-5
    estimates = feed(JerkEstimator(estimator, arm.jacobian), time, positions)[30:]
    newest = np.array([e.newest_joint_jerk for e in estimates])
    rate = 2 * np.pi * 0.3
    truth = -0.3 * rate**3 * np.cos(rate * time[30:, None] + np.arange(7))
    assert np.sqrt(np.mean((newest - truth) ** 2)) < 0.2 * np.abs(truth).max()
    moving = np.array([e.newest_tool_jerk for e in estimates[15:]])
    centred = np.array([e.tool_jerk for e in estimates[15:]])
    assert np.sqrt(np.mean((moving[:-15] - centred[15:]) ** 2)) < 0.2 * centred.max()


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_jitter_is_fitted_at_the_true_stamps(seed):
    """With 10% jitter the joint jerk stays right; on the regular grid it would be far off."""
    estimator = EstimatorSettings(rate_hz=100.0)
    rng = np.random.default_rng(seed)
    stamps = np.arange(150) * 0.01 + rng.uniform(-1e-3, 1e-3, 150)
    estimates = [e for e in feed(JerkEstimator(estimator, None), stamps, joints(stamps)) if e]
    centres = np.array([e.centre_stamp_s for e in estimates])
    rate = 2 * np.pi * 0.3
    truth = -0.3 * rate**3 * np.cos(rate * centres[:, None] + np.arange(7))
    live = np.array([e.joint_jerk for e in estimates])
    assert np.sqrt(np.mean((live - truth) ** 2)) < 0.01 * np.abs(truth).max()
    as_if_regular = joint_jerk(joints(stamps), 0.01, estimator)[15:-15]
    assert np.sqrt(np.mean((as_if_regular - truth) ** 2)) > 0.1 * np.abs(truth).max()


def test_duplicates_are_dropped(arm):
    """A sample that comes twice changes no number and is counted."""
    time = np.arange(20) * 0.05
    once = JerkEstimator(SETTINGS, arm.jacobian)
    feed(once, time, joints(time))
    twice = JerkEstimator(SETTINGS, arm.jacobian)
    feed(twice, np.repeat(time, 2), np.repeat(joints(time), 2, axis=0))
    assert twice.episode == once.episode
    assert twice.health == StreamHealth(samples=20, duplicates=20)


def test_a_gap_starts_the_window_anew(arm):
    """No window reaches over a pause: six samples pass before the next estimate."""
    time = np.r_[np.arange(10), np.arange(30, 40)] * 0.05
    live = JerkEstimator(SETTINGS, arm.jacobian)
    estimates = feed(live, time, joints(time))
    assert [e is not None for e in estimates] == ([False] * 6 + [True] * 4) * 2
    assert live.health == StreamHealth(samples=20, gaps=1, missing=20)
    assert live.episode.estimates == 8


def test_one_lost_sample_of_a_fast_stream_is_bridged(arm):
    """At 100 Hz one lost sample of 31 is counted as missing and no reason to start anew."""
    time = np.delete(np.arange(80), 40) * 0.01
    live = JerkEstimator(EstimatorSettings(rate_hz=100.0), arm.jacobian)
    estimates = feed(live, time, joints(time))
    assert all(e is not None for e in estimates[30:])
    assert live.health == StreamHealth(samples=79, missing=1)


def test_a_stamp_from_the_past_starts_the_window_anew(arm):
    """A clock that jumps back, as when a bag loops, mixes no two runs in one window."""
    time = np.arange(10) * 0.05
    live = JerkEstimator(SETTINGS, arm.jacobian)
    feed(live, time + 5.0, joints(time))
    estimates = feed(live, time, joints(time))
    assert [e is not None for e in estimates] == [False] * 6 + [True] * 4
    assert live.health == StreamHealth(samples=20, backwards=1)


def test_values_that_are_not_finite_never_reach_a_number(arm):
    """They count as rejected, and the hole they leave as missing."""
    time = np.arange(20) * 0.05
    positions = joints(time)
    positions[10, 2] = np.nan
    live = JerkEstimator(SETTINGS, arm.jacobian)
    feed(live, time, positions)
    assert live.health == StreamHealth(samples=19, rejected=1, missing=1, gaps=1)
    assert np.isfinite(live.episode.mean_jerk)


@pytest.mark.parametrize('true_rate', [50.0, 200.0])
def test_another_rate_than_declared_gives_no_number(arm, true_rate):
    """Jerk compares only at equal rate, so a stream at half or twice the rate is refused."""
    live = JerkEstimator(EstimatorSettings(rate_hz=100.0), arm.jacobian)
    time = np.arange(100) / true_rate
    assert feed(live, time, joints(time)) == [None] * 100
    assert live.health.off_rate == 70


def test_reset_begins_a_new_episode(arm):
    """Nothing of the old episode is left: sums, counts, window."""
    time = np.arange(20) * 0.05
    live = JerkEstimator(SETTINGS, arm.jacobian)
    feed(live, time, joints(time))
    live.reset()
    assert live.episode.estimates == 0
    assert np.isnan(live.episode.mean_jerk)
    assert live.health == StreamHealth()
    assert feed(live, time, joints(time))[:6] == [None] * 6


def test_joints_alone_without_a_model():
    """Without a Jacobian there is joint jerk; the tool's is NaN, never zero."""
    time = np.arange(20) * 0.05
    live = JerkEstimator(SETTINGS, None)
    last = feed(live, time, joints(time))[-1]
    assert np.isfinite(last.joint_jerk).all()
    assert np.isnan(last.tool_screw_jerk).all()
    assert np.isnan(last.newest_tool_screw_jerk).all()
    assert np.isnan(live.episode.mean_jerk)


def test_a_sample_of_another_robot_is_refused(arm):
    """Nine joints after seven are a mistake, not a motion."""
    live = JerkEstimator(SETTINGS, arm.jacobian)
    live.add(0.0, np.zeros(7))
    with pytest.raises(ValueError, match='shape'):
        live.add(0.05, np.zeros(9))


@pytest.mark.parametrize('rate_hz', [100.0, 1000.0])
def test_it_says_when_the_next_estimate_comes(rate_hz):
    """To the sample, from the first one on and after a gap: whoever looks then finds one."""
    settings = EstimatorSettings(rate_hz=rate_hz, window_s=0.15)
    estimator = JerkEstimator(settings, None, stride=settings.read_stride)
    due = estimator.samples_to_estimate
    for index in range(5 * settings.window_samples):
        if index == 3 * settings.window_samples:
            due = settings.window_samples
        stamp = index / rate_hz + (1.0 if index >= 3 * settings.window_samples else 0.0)
        found = estimator.add(stamp, np.full(2, 0.1 * stamp))
        due -= 1
        assert (found is not None) is (due == 0)
        if due == 0:
            due = estimator.samples_to_estimate
        assert due == estimator.samples_to_estimate
        assert estimator.until_estimate_s == pytest.approx(due / rate_hz)
