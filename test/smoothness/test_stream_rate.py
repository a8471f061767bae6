"""A stream without estimates has its rate measured; one with them is left alone."""

from __future__ import annotations

import pytest

from smoothvla_ros.smoothness.stream_rate import UndeclaredRate


def test_silence_is_measured_after_a_while():
    """Not before, and the mean rate of all that came since the last estimate."""
    rate = UndeclaredRate(1.0)
    for index in range(21):
        rate.add(100.0 + 0.05 * index, False)
        assert rate.hz is None
    rate.add(101.05, False)
    assert rate.hz == pytest.approx(20.0)


def test_an_estimate_or_a_new_beginning_ends_it():
    """One estimate is enough; a clock that was set back begins anew."""
    rate = UndeclaredRate(1.0)
    for index in range(40):
        rate.add(0.1 * index, False)
    rate.add(4.0, True)
    assert rate.hz is None
    for index in range(40):
        rate.add(4.1 + 0.1 * index, False)
    assert rate.hz == pytest.approx(10.0)
    rate.add(1.0, False)
    assert rate.hz is None


def test_a_pause_is_no_rate():
    """After a driver stood still the window fills again, and nothing is wrong."""
    rate = UndeclaredRate(1.2)
    rate.add(0.0, True)
    for index in range(300):
        rate.add(2.0 + 0.001 * index, False)
        assert rate.hz is None
