"""Ranges of settings, of single values and of several."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from smoothvla_ros.configuration import from_mapping, setting, validate
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters
from smoothvla_ros.errors import UserError


@dataclass(frozen=True)
class Settings:
    """One value and several."""

    one: int = setting(2, 'a number', minimum=1, maximum=3)
    several: tuple[float, ...] = setting((), 'numbers', minimum=0.0, maximum=1.0)

    def __post_init__(self) -> None:
        validate(self, 'place')


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'one': 0}, 'place: one=0 is too small; the smallest allowed is 1'),
        ({'several': [0.5, -0.1]}, r'place: several=\(0.5, -0.1\) is too small'),
        ({'several': [1.1, 0.5]}, r'several=\(1.1, 0.5\) is too large; the largest allowed is 1.0'),
        ({'several': [0.5, float('nan')]}, 'is not a finite number'),
    ],
)
def test_each_value_is_held_to_the_range(values, message):
    """Also the second of several."""
    with pytest.raises(UserError, match=message):
        from_mapping(Settings, values, 'place')


@dataclass(frozen=True)
class Demanding:
    """A value without a default."""

    urdf: str = field(metadata={'description': 'the file of the arm'})
    length: int = setting(2, 'a number', minimum=1, maximum=3)

    def __post_init__(self) -> None:
        self.length + (None if self.urdf == 'defect' else 0)


def test_a_value_that_is_missing_is_named_and_a_defect_of_ours_is_not_taken_for_it():
    """A TypeError of the class's own is no advice to a user."""
    with pytest.raises(UserError, match=r"place: 'urdf' is missing \(the file of the arm\)"):
        from_mapping(Demanding, {'length': 1}, 'place')
    with pytest.raises(TypeError):
        from_mapping(Demanding, {'urdf': 'defect'}, 'place')


def test_values_inside_of_the_range_pass():
    """Both ends belong to it."""
    assert from_mapping(Settings, {'one': 3, 'several': [0.0, 1.0]}, 'place').several == (0.0, 1.0)


def test_an_impedance_that_pushes_away_is_refused():
    """Its damping, a square root, would be no number, and so would what the guard commands."""
    ones = [1.0] * 7
    values = {'rotor_inertia': ones, 'torque_limit': ones, 'stiffness': [150.0] * 5 + [-150.0]}
    with pytest.raises(UserError, match=r'stiffness=.* is too small'):
        from_mapping(OscParameters, values, 'file')
