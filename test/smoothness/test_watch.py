"""The live watch over one robot: levels against limits, noise that may not alarm, seams apart."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.smoothness import (
    AlarmLevel,
    AlarmSettings,
    EstimatorSettings,
    JerkWatch,
    SeamJerk,
)

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


def test_noise_at_the_threshold_makes_one_transition_at_most(arm):
    """A jerk that stays at the warning, with encoder noise on it, warns once and stays."""
    rng = np.random.default_rng(0)
    time = np.arange(600) * 0.01
    watched = watch(arm, alarm=AlarmSettings(warning=3.0, alarm=50.0))
    jacobian = arm.jacobian(REST)
    direction = np.linalg.pinv(jacobian)[:, 0]
    positions = REST + np.outer(3.0 * np.clip(time - 1.0, 0, 0.8) ** 3 / 6, direction)
    noisy = np.round((positions + rng.uniform(-1e-5, 1e-5, positions.shape)) / 1e-5) * 1e-5
    levels = np.array(feed(watched, time[:180], noisy[:180]))
    assert np.count_nonzero(np.diff(levels)) <= 1


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
