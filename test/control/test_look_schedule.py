"""Looks at the right time: neither at every sample, nor for ever at a stream that ended."""

from __future__ import annotations

import pytest

from smoothvla_ros.control.monitoring.look_schedule import LookSchedule

OVERSLEPT_S = 70e-6


def looks_a_second(rates_hz, every, stopped=(), phases=None, seconds=2.0) -> tuple[float, float]:
    """Play streams; return looks a second, and the longest from an estimate's sample to a look.

    every: samples from one estimate to the next.  stopped: robots whose samples ended half a
    second ago, one before an estimate.
    """
    schedule = LookSchedule(len(rates_hz), 0.00125, 0.0025, 0.05)
    phases = phases or [0.1] * len(rates_hz)
    taken = [0] * len(rates_hz)
    now_s, looks, longest_s = 0.0, 0, 0.0
    while now_s < seconds:
        now_s += schedule.wait_s(now_s) + OVERSLEPT_S
        looks += 1
        for robot in schedule.due(now_s):
            rate_hz = rates_hz[robot]
            there = int(now_s * rate_hz + 1.0 - phases[robot]) if robot not in stopped else 9
            heard, before = there > taken[robot], taken[robot] // every
            taken[robot] = there
            if there // every > before:
                sample_s = (there // every * every - 1 + phases[robot]) / rate_hz
                longest_s = max(longest_s, now_s - sample_s)
            until_s = (every - there % every) / rate_hz
            schedule.looked(robot, now_s, until_s if heard else None)
    return looks / seconds, longest_s


@pytest.mark.parametrize(
    ('rates_hz', 'stopped', 'most'),
    [
        ([1000.0], (), 130),
        ([1000.0, 1000.0], (1,), 450),
        ([1000.0, 1000.0], (0, 1), 450),
        ([1000.0] * 8, (), 450),
    ],
)
def test_there_are_few_looks(rates_hz, stopped, most):
    """A tenth of the samples; one stream that ended costs no more than the silence allows."""
    phases = [0.1 + 0.1 * robot for robot in range(len(rates_hz))]
    looks, _ = looks_a_second(rates_hz, 10, stopped, phases)
    assert looks < most


@pytest.mark.parametrize('robots', [1, 8])
def test_an_estimate_waits_little(robots):
    """Its last sample lies in the queue for less than three milliseconds at 1 kHz."""
    phases = [0.1 + 0.1 * robot for robot in range(robots)]
    _, longest_s = looks_a_second([1000.0] * robots, 10, (), phases)
    assert longest_s < 0.003


def test_nobody_waits_longer_than_the_longest():
    """A window that fills, or a silence that is said to last."""
    schedule = LookSchedule(2, 0.001, 1.0, 0.05)
    schedule.looked(0, 10.0, 0.3)
    schedule.looked(1, 10.0, None)
    assert schedule.due(10.0) == []
    assert schedule.wait_s(10.0) == pytest.approx(0.05)
    assert schedule.due(10.05) == [0, 1]


@pytest.mark.parametrize(
    ('period_s', 'silent_s', 'longest_s'),
    [(0.001, 0.0025, 0.025), (0.01, 0.01, 0.05), (0.0001, 0.0025, 0.0025)],
)
def test_looks_suit_the_rate_and_the_queue(period_s, silent_s, longest_s):
    """No queue of 100 samples is more than a quarter full, and a slow stream is not hurried."""
    schedule = LookSchedule.of_queues(2, period_s, 100, 0.05)
    assert (schedule.robots, schedule.shortest_s) == (2, 0.00125)
    assert schedule.silent_s == silent_s
    assert schedule.longest_s == pytest.approx(longest_s)
