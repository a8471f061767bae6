"""The settings of a run and the file that documents them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.training.config import TrainConfig

FILE = Path(__file__).parents[2] / 'config' / 'train.yaml'


def test_the_file_lists_every_setting_with_its_default():
    """Nobody finds another value in the file than the program uses without it."""
    assert load(TrainConfig, FILE) == TrainConfig()
    listed = [line.split(':')[0] for line in FILE.read_text().splitlines() if line[:1].isalpha()]
    assert sorted(listed) == sorted(field.name for field in dataclasses.fields(TrainConfig))


@pytest.mark.parametrize(
    ('settings', 'named'),
    [
        ({'groups': 0}, 'groups=0'),
        ({'group_size': 1}, 'group_size=1'),
        ({'temperature': 0.0}, 'temperature=0.0'),
        ({'learning_rate': float('nan')}, 'learning_rate=nan'),
        ({'tasks': '1,1'}, 'names one twice'),
        ({'tasks': [-1]}, 'negative'),
        ({'grop_size': 8}, 'grop_size'),
        ({'iterations': 2.5}, 'iterations=2.5'),
    ],
)
def test_values_out_of_range_are_named(settings, named):
    """One line with the setting and its value."""
    with pytest.raises(UserError, match=named) as error:
        load(TrainConfig, None, settings)
    assert '\n' not in str(error.value)
