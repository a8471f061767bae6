"""The live watch over one robot: levels against limits, noise that may not alarm, seams apart."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import (
    AlarmLevel,
    AlarmSettings,
    EstimatorSettings,
    JerkWatch,
    MotionStream,
    SeamJerk,
)
from smoothvla_ros.smoothness.alarm import NOISE_MARGIN
from smoothvla_ros.smoothness.noise import tool_noise_floor

REST = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
SETTINGS = EstimatorSettings(rate_hz=100.0)
QUIET = AlarmSettings(warning=20.0, alarm=50.0)


@pytest.fixture(scope='module')
def arm():
    return Arm.panda()


def watch(arm, settings=SETTINGS, alarm=QUIET, step=1e-5, limits=None) -> JerkWatch:
    return JerkWatch(settings, arm.jacobian, alarm, step, REST, limits)


def feed(watched: JerkWatch, time, positions) -> list[AlarmLevel]:
    return [watched.level for t, q in zip(time, positions, strict=True) if watched.add(float(t), q)]


def test_a_threshold_within_the_noise_is_refused(arm):
    """Five times the newest-sample floor: of the tool, and of the joint with the lowest limit."""
    with pytest.raises(UserError, match=r'warning=20\.0 is below 5 times'):
        watch(arm, step=2 * np.pi / 4096)
    with pytest.raises(UserError, match='lowest joint limit'):
        watch(arm, limits=np.full(7, 0.1))


def test_the_level_follows_the_joint_that_is_nearest_to_its_limit(arm):
    """A motion far below the tool's threshold alarms where one joint has a low limit."""
    time = np.arange(200) * 0.01
    rate = 2 * np.pi * 0.5
    positions = REST + 0.1 * np.sin(rate * time)[:, None] * (np.arange(7) == 3)
    peak = 0.1 * rate**3
    free = watch(arm)
    assert set(feed(free, time, positions)) == {AlarmLevel.OK}
    limits = np.full(7, 1000.0)
    limits[3] = 0.9 * peak
    bound = watch(arm, limits=limits)
    assert AlarmLevel.ALARM in feed(bound, time, positions)
    last = bound.add(2.0, REST + 0.1 * np.sin(rate * 2.0) * (np.arange(7) == 3))
    assert np.argmax(last.share_of_limit) == 3


@pytest.mark.parametrize('rate_hz', [20.0, 100.0, 1000.0])
def test_at_the_threshold_with_noise_it_warns_once_and_within_a_window(rate_hz):
    """The lowest warning that the noise allows, and from 1 s on a jerk of just that, for 2 s."""
    settings, step = EstimatorSettings(rate_hz=rate_hz), 1e-5
    jacobian = np.eye(6, 7)
    floor, _ = tool_noise_floor(settings, step, jacobian, newest=True)
    alarm = AlarmSettings(warning=NOISE_MARGIN * floor, alarm=100.0 * floor)
    for seed in range(10 if rate_hz < 1000.0 else 3):
        rng = np.random.default_rng(seed)
        time = (np.arange(round(3.0 * rate_hz)) + rng.uniform()) / rate_hz
        exact = rng.uniform(size=(1, 7)) + np.zeros((len(time), 7))
        exact[:, 0] += alarm.warning * np.clip(time - 1.0, 0.0, None) ** 3 / 6
        read = np.round(exact / step + rng.uniform(-0.5, 0.5, exact.shape)) * step
        watched = JerkWatch(settings, lambda _: jacobian, alarm, step, np.zeros(7))
        seen = [(t, watched.level) for t, q in zip(time, read, strict=True) if watched.add(t, q)]
        levels = [level for _, level in seen]
        assert sum(a is not b for a, b in pairwise(levels)) == 1
        assert levels[-1] is AlarmLevel.WARNING
        warned = next(t for t, level in seen if level is AlarmLevel.WARNING)
        assert 1.0 < warned <= 1.0 + settings.window_s


def test_a_joint_that_passes_the_seam_of_its_turn_alarms_nobody(arm):
    """A constant 0.2 rad/s through pi, reported in [-pi, pi): no jerk, and no level but OK."""
    time = np.arange(300) * 0.01
    positions = np.tile(REST, (300, 1))
    positions[:, 6] = (np.pi + 0.2 * (time - 1.5) + np.pi) % (2 * np.pi) - np.pi
    watched = watch(arm, limits=np.full(7, 500.0))
    found = [watched.add(float(t), q) for t, q in zip(time, positions, strict=True)]
    assert max(each.greatest_share for each in found if each is not None) < 1e-6
    assert watched.level is AlarmLevel.OK
    slides = np.arange(7) == 6
    watched = JerkWatch(
        SETTINGS, arm.jacobian, QUIET, 1e-5, REST, np.full(7, 500.0), turning=~slides
    )
    assert AlarmLevel.ALARM in feed(watched, time, positions)


def test_an_alarm_comes_within_a_window(arm):
    """From the moment at which the jerk begins to the alarm, at most one window of time."""
    time = np.arange(300) * 0.01
    direction = np.linalg.pinv(arm.jacobian(REST))[:, 0]
    positions = REST + np.outer(120.0 * np.clip(time - 1.0, 0, 0.5) ** 3 / 6, direction)
    watched = watch(arm)
    for t, q in zip(time, positions, strict=True):
        watched.add(float(t), q)
        if watched.level is AlarmLevel.ALARM:
            break
    assert 1.0 < t <= 1.0 + SETTINGS.window_s


def test_reset_forgets_the_episode(arm):
    """Level, sums and seams begin anew."""
    watched = watch(arm)
    feed(watched, np.arange(60) * 0.01, np.tile(REST, (60, 1)))
    watched.seams.chunk_begins(0.3)
    watched.reset()
    assert watched.level is AlarmLevel.UNKNOWN
    assert watched.estimator.episode.estimates == 0
    assert watched.seams.at.estimates == watched.seams.between.estimates == 0


def test_seams_are_kept_apart():
    """Jerk within a quarter window of a chunk's beginning is the seam's, the rest is not."""
    seams = SeamJerk(window_s=0.4)
    seams.chunk_begins(1.0)
    for stamp, size in ((0.5, 1.0), (0.89, 1.0), (0.91, 9.0), (1.09, 9.0), (1.11, 1.0)):
        seams.add(stamp, np.array([size, 0, 0, 0, 0, 0]))
    assert seams.at.mean_jerk == 9.0
    assert seams.at.estimates == 2
    assert seams.between.mean_jerk == 1.0


def test_the_jerk_of_a_seam_is_placed_where_it_happened(arm):
    """A jolt at the moment at which a chunk begins: the seam has it, half a window later or not."""
    time = np.arange(300) * 0.01
    watched = watch(arm, alarm=AlarmSettings(warning=1e3, alarm=1e4))
    watched.seams.chunk_begins(1.5)
    feed(watched, time, REST + 0.2 * np.clip(time - 1.5, 0.0, None)[:, None])
    assert watched.seams.at.peak_jerk == watched.estimator.episode.peak_jerk
    assert watched.seams.between.mean_jerk < 0.2 * watched.seams.at.mean_jerk


def test_seams_of_a_span_forget_what_lies_before_it():
    """A rough minute with a seam each second, then ten calm seconds with two: those count."""
    kept = SeamJerk(window_s=0.4, period_s=0.01, span_s=10.0)
    for index in range(7000):
        stamp, calm = index * 0.01, index >= 6000
        if index % 100 == 0 and (not calm or index in (6300, 6800)):
            kept.chunk_begins(stamp - 0.005)
        kept.add(stamp, np.full(6, 1.0 if calm else 50.0))
    # A tenth of a second on either side, of which the first is read before its chunk came.
    assert kept.at.estimates == 2 * 10
    assert kept.at.mean_jerk == kept.between.mean_jerk == pytest.approx(np.sqrt(3.0))
    assert kept.at.estimates + kept.between.estimates == pytest.approx(1000, abs=50)
    assert np.isnan(kept.at.ldlj)
    for index in range(7000, 8100):
        kept.add(index * 0.01, np.ones(6))
    assert kept.at.estimates == 0


@pytest.mark.parametrize('rate_hz', [100.0, 1000.0])
def test_the_watch_bounds_its_seams_by_the_statistics(arm, rate_hz):
    """A rough second, then four at rest: between seams nothing is left of it, as in the means."""
    settings = EstimatorSettings(rate_hz=rate_hz)
    time = np.arange(round(5 * rate_hz)) / rate_hz
    shaken = 0.01 * np.sin(2 * np.pi * 2.0 * time[:, None]) * (time[:, None] < 1.0)
    spanned = JerkWatch(settings, arm.jacobian, QUIET, 1e-5, REST, statistics_s=2.0)
    whole = JerkWatch(settings, arm.jacobian, QUIET, 1e-5, REST)
    for watched in (spanned, whole):
        feed(watched, time, REST + shaken)
    assert whole.seams.between.peak_jerk > 1.0
    assert spanned.seams.between.peak_jerk < 1e-6
    assert spanned.seams.between.mean_jerk == spanned.estimator.episode.mean_jerk


def test_a_level_is_held_as_long_as_it_was_asked_for(arm):
    """Of the tool and of the joints alike: a jerk that ends leaves both for `hold_s`."""
    time = np.arange(500) * 0.01
    positions = REST + 0.1 * np.clip(time - 1.0, 0, 0.3)[:, None] ** 3 * np.arange(7) * 100
    ends = []
    for hold_s in (0.3, 1.3):
        alarm = AlarmSettings(warning=1e6, alarm=1e6, hold_s=hold_s)
        watched = watch(arm, alarm=alarm, limits=np.full(7, 100.0))
        seen = [
            (t, watched.level) for t, q in zip(time, positions, strict=True) if watched.add(t, q)
        ]
        ends.append(max(t for t, level in seen if level is not AlarmLevel.OK))
    assert ends[1] - ends[0] == pytest.approx(2 * 1.0, abs=0.05)


def test_velocities_are_fitted_along_where_their_resolution_is_known(arm):
    """The live jerk is that of the stream with the same weight, and another one than without."""
    time = np.arange(80) * 0.01
    rate = 2 * np.pi * 0.7
    wave = 0.05 * np.sin(rate * time[:, None] + np.arange(7))
    speeds = 0.05 * rate * np.cos(rate * time[:, None] + np.arange(7))
    coarse = np.round((REST + wave) / 1e-3) * 1e-3
    used = JerkWatch(SETTINGS, arm.jacobian, QUIET, 1e-5, REST, velocity_step=1e-4)
    live = [used.add(float(t), q, v) for t, q, v in zip(time, coarse, speeds, strict=True)]
    stream = MotionStream(SETTINGS, stride=SETTINGS.read_stride, velocity_weight_s=0.1)
    offline = stream.add(time, coarse, speeds)
    found = [each.estimate.joint_jerk for each in live if each is not None]
    assert len(found) > 10
    np.testing.assert_allclose(found[: len(offline.motions)], offline.motions[:, 3], rtol=1e-6)
    plain = watch(arm)
    alone = [plain.add(float(t), q) for t, q in zip(time, coarse, strict=True)]
    wrong = [each.estimate.joint_jerk for each in alone if each is not None]
    peak = 0.05 * rate**3
    assert np.abs(np.array(wrong) - np.array(found)).max() > 0.1 * peak


def test_positions_that_are_not_finite_are_no_rate(arm):
    """What never counts says nothing of how often the stream comes."""
    watched = watch(arm)
    for index in range(500):
        assert watched.add(index * 0.01, np.full(7, np.nan)) is None
    assert watched.undeclared_rate.hz is None


def test_an_episode_that_lacks_samples_has_no_numbers(arm):
    """Whether they did not come or were not finite: the numbers would be those of a part."""
    time = np.arange(100) * 0.01
    positions = REST + 0.1 * np.sin(3.0 * time)[:, None]
    watched = watch(arm)
    feed(watched, time, positions)
    numbers, lacking = watched.of_episode(0)
    assert lacking == 0
    assert numbers == watched.estimator.whole_episode()
    assert numbers.mean_jerk > 0.0
    numbers, lacking = watched.of_episode(2)
    assert (lacking, np.isnan(numbers.mean_jerk)) == (2, True)
    watched.add(1.0, REST * np.nan)
    numbers, lacking = watched.of_episode(2)
    assert (lacking, np.isnan(numbers.mean_jerk)) == (3, True)
