"""What is kept of a motion's speeds: the last span, or everything up to the longest movement."""

from __future__ import annotations

import math

import numpy as np
import pytest

from smoothvla_ros.smoothness import spectral_arc_length
from smoothvla_ros.smoothness.speed_profile import LONGEST_SHAPE_S, SpeedProfile

PERIOD_S = 0.05
LONGEST = round(LONGEST_SHAPE_S / PERIOD_S)
SPEEDS = 1.0 + np.sin(np.arange(LONGEST + 1) / 7.0)


def test_a_span_forgets_what_lies_before_it():
    """The last ten seconds, and what comes after them, are the profile."""
    profile = SpeedProfile(PERIOD_S, 10.0)
    profile.add(SPEEDS[:500])
    expected = spectral_arc_length(SPEEDS[300:503], PERIOD_S)
    assert profile.spectral_arc_length(SPEEDS[500:503]) == expected


@pytest.mark.parametrize('merged', [False, True])
def test_what_lasts_too_long_has_no_number(merged):
    """Ten minutes have one, a reading more does not, in one piece or in two; then begun anew."""
    profile, later = SpeedProfile(PERIOD_S), SpeedProfile(PERIOD_S)
    profile.add(SPEEDS[:LONGEST])
    assert profile.spectral_arc_length() == spectral_arc_length(SPEEDS[:-1], PERIOD_S)
    if merged:
        later.add(SPEEDS[LONGEST:])
        profile.merge(later)
    else:
        profile.add(SPEEDS[LONGEST:])
    assert math.isnan(profile.spectral_arc_length())
    profile.clear()
    profile.add(SPEEDS[:50])
    assert profile.spectral_arc_length() == spectral_arc_length(SPEEDS[:50], PERIOD_S)


def test_a_slow_rate_has_no_number():
    """Below twenty readings a second ten hertz cannot be seen."""
    profile = SpeedProfile(0.06)
    profile.add(SPEEDS[:50])
    assert math.isnan(profile.spectral_arc_length())
