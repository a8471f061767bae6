"""The bars of docs/metrics.md: jerk against motions whose jerk is known in closed form."""

from __future__ import annotations

import pytest

from benchmarks import jerk_accuracy


@pytest.fixture(scope='module')
def figures():
    return jerk_accuracy.measure()


@pytest.mark.parametrize('jitter', ['', '_jitter'])
@pytest.mark.parametrize(('name', 'bar'), sorted(jerk_accuracy.AT_MOST.items()))
def test_error_at_100_hz_stays_below_its_bar(figures, name, bar, jitter):
    """One window and order serve every motion, on the grid and 10% off it at true stamps."""
    motion, kind = name.split('.')
    assert figures[f'{motion}{jitter}.{kind}'] <= bar


@pytest.mark.parametrize('rate_hz', [20.0, 50.0, 500.0, 1000.0])
def test_the_same_window_holds_at_every_rate(rate_hz):
    """With the fine encoder no rate loses more than the bars of 100 Hz allow."""
    for motion in jerk_accuracy.motions():
        found = jerk_accuracy.errors(motion, rate_hz, jitter=jerk_accuracy.JITTER)
        for kind in ('inside', 'whole'):
            bar = jerk_accuracy.AT_MOST.get(f'{motion.name}.{kind}', 0.03)
            assert getattr(found, kind) <= bar, (motion.name, kind)


def test_a_wrong_stamp_and_a_raw_difference_are_worse():
    """What the table warns of: stamps that lie, and third differences of quantised samples."""
    reach = jerk_accuracy.motions()[0]
    told = jerk_accuracy.errors(reach, 100.0, jitter=jerk_accuracy.JITTER)
    lied_to = jerk_accuracy.errors(reach, 100.0, jitter=jerk_accuracy.JITTER, true_stamps=False)
    assert lied_to.inside > 10 * told.inside
    assert told.raw > 10 > told.butterworth
