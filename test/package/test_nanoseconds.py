"""Nanoseconds are counted in one place, and come through messages whole."""

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

import smoothvla_ros
from smoothvla_ros.nanoseconds import (
    NANOSECOND_S,
    NANOSECONDS,
    period_ns,
    seconds_and_rest,
    to_nanoseconds,
    to_seconds,
    whole_nanoseconds,
)

ROOT = Path(smoothvla_ros.__file__).parent


@pytest.mark.parametrize('nanoseconds', [0, 999_999_999, 1_790_000_000_123_456_789, -1])
def test_split_time_is_joined_to_the_same(nanoseconds: int) -> None:
    """What is split for a message is the same when it is read: no digit is rounded."""
    seconds, rest = seconds_and_rest(nanoseconds)
    assert 0 <= rest < NANOSECONDS
    assert to_nanoseconds(SimpleNamespace(sec=seconds, nanosec=rest)) == nanoseconds


def test_durations_and_rates_become_the_nearest_nanoseconds() -> None:
    """Not the ones below, which would be one short of 1.001 s; and a duration comes back."""
    assert whole_nanoseconds(1.001) == 1_001_000_000
    assert period_ns(30.0) == 33_333_333
    assert period_ns(60.0) == 16_666_667
    assert to_seconds(1_001_000_000) == 1.001


def test_the_two_ways_to_seconds_differ() -> None:
    """Multiplying and dividing are not the same to the bit, so each constant has its users."""
    assert NANOSECOND_S == 1 / NANOSECONDS
    assert 3 * NANOSECOND_S != 3 / NANOSECONDS


def test_a_second_is_counted_once() -> None:
    """No other module writes the number of nanoseconds of a second."""
    found = []
    for path in sorted(ROOT.rglob('*.py')):
        name = path.relative_to(ROOT).as_posix()
        if name == 'nanoseconds.py':
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            value = node.value if isinstance(node, ast.Constant) else None
            if type(value) is int and value == NANOSECONDS:
                found.append(f'{name}:{node.lineno}')
    assert not found, '\n'.join(found)
