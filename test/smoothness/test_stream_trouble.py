"""A stream of which nothing is measured: why, in words, and only after a while."""

from __future__ import annotations

import pytest

from smoothvla_ros.smoothness.stream_health import StreamHealth
from smoothvla_ros.smoothness.stream_trouble import StreamTrouble


@pytest.mark.parametrize(
    ('health', 'reason'),
    [
        (StreamHealth(rejected=9), 'positions in joint_states are not finite'),
        (StreamHealth(samples=1, duplicates=8), 'the stamps of joint_states stand still'),
        (StreamHealth(samples=9, backwards=4), 'jump back again and again'),
        (StreamHealth(samples=9, off_rate=9), ''),
    ],
)
def test_the_reason_is_named_after_the_patience(health, reason):
    """Nothing before that; a wrong rate is another's to name."""
    trouble = StreamTrouble(2.0, 100.0)
    trouble.heard(101.8)
    assert trouble.reason(101.9, health) == ''
    trouble.heard(102.9)
    found = trouble.reason(103.0, health)
    assert reason in found
    assert bool(found) is bool(reason)


def test_a_stream_that_ended_is_told_from_one_that_never_spoke():
    """And what was wrong before the last number counts no more."""
    assert StreamTrouble(2.0, 0.0).reason(3.0, StreamHealth()) == (
        'no joint_states of this arm, for 3.0 s'
    )
    trouble = StreamTrouble(2.0, 0.0)
    trouble.heard(1.0)
    trouble.measured(1.0, StreamHealth(samples=5, rejected=3))
    # The last samples need complete no estimate.
    trouble.heard(1.1)
    assert trouble.reason(3.0, StreamHealth(samples=7, rejected=3)) == ''
    assert 'any more, for 2.1 s' in trouble.reason(3.2, StreamHealth(samples=7, rejected=3))
    trouble.heard(3.3)
    assert trouble.reason(3.4, StreamHealth(samples=8, rejected=3)) == ''
