"""Alarm levels: up at once, down only after a while well below, no flutter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.smoothness import Alarm, AlarmLevel, AlarmSettings

SETTINGS = AlarmSettings(warning=10.0, alarm=20.0, release=0.5, hold_s=0.3)
OK, WARNING, ALARM, UNKNOWN = AlarmLevel


def levels(values, period_s: float = 0.1, alarm: Alarm | None = None):
    alarm = alarm or Alarm(SETTINGS)
    return [alarm.update(index * period_s, value) for index, value in enumerate(values)]


def test_a_level_is_reached_at_once():
    """The threshold itself belongs to its level; UNKNOWN until the first value."""
    assert Alarm(SETTINGS).level is UNKNOWN
    assert levels([9.9, 10.0, 19.9, 20.0]) == [OK, WARNING, WARNING, ALARM]
    assert levels([25.0]) == [ALARM]


def test_a_level_ends_after_the_hold_below_its_release():
    """ALARM ends below 10 for 0.3 s, WARNING then below 5 for another 0.3 s."""
    assert levels([20, 9, 9, 9, 9]) == [ALARM] * 4 + [WARNING]
    assert levels([20, 4, 4, 4, 4, 4, 4, 4, 4]) == [ALARM] * 4 + [WARNING] * 4 + [OK]
    assert levels([20, 11, 11, 11, 11, 11]) == [ALARM] * 6


def test_one_value_above_the_release_starts_the_hold_again():
    """The hold is of an unbroken time below."""
    assert levels([20, 9, 9, 12, 9, 9, 9, 9]) == [ALARM] * 7 + [WARNING]


def test_noise_at_the_threshold_makes_one_transition():
    """A value that dithers about the threshold with a fifth of it as noise changes level once."""
    noisy = 10.0 + np.random.default_rng(0).normal(0, 2.0, 5000)
    seen = levels(noisy, period_s=0.01)
    assert seen[0] in (OK, WARNING)
    assert sum(a != b for a, b in pairwise(seen)) <= 1
    assert seen[-1] is WARNING


def test_a_value_that_is_not_finite_makes_the_level_unknown():
    """No number is not a good number; the next one starts afresh."""
    assert levels([20, np.nan, 5]) == [ALARM, UNKNOWN, OK]


def test_levels_have_the_numbers_of_the_message():
    """JerkState and AlarmLevel say the same."""
    assert [int(level) for level in (OK, WARNING, ALARM, UNKNOWN)] == [0, 1, 2, 3]


def test_thresholds_below_five_times_the_noise_are_refused():
    """An alarm that noise alone can set off is a configuration error."""
    SETTINGS.require_above_noise(2.0)
    with pytest.raises(UserError, match=r'warning=10.0 is below 5 times the noise floor of 2\.1'):
        SETTINGS.require_above_noise(2.1)


def test_settings_are_checked():
    """Crossed thresholds and values out of range are named."""
    with pytest.raises(UserError, match=r'alarm=5.0 lies below warning=10.0'):
        AlarmSettings(warning=10.0, alarm=5.0)
    with pytest.raises(UserError, match=r'release=1\.5 is too large'):
        AlarmSettings(warning=1.0, alarm=2.0, release=1.5)
