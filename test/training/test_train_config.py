"""The settings of a run, and the parameter file of the graph."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.training.config import TrainConfig

CONFIG = Path(__file__).parents[2] / 'config'
FILE = CONFIG / 'train.yaml'


def test_the_parameter_file_agrees_with_the_defaults():
    """`make train` and `smoothvla train` without arguments do the same."""
    sections = yaml.safe_load(FILE.read_text())
    trainer = {
        name: value
        for node in ('/**', '/**/grpo_trainer')
        for name, value in sections[node]['ros__parameters'].items()
    }
    assert load(TrainConfig, None, trainer) == TrainConfig()


def test_the_file_for_openvla_says_what_was_published():
    """By the names and values that its comments give the sources of; nothing holds a policy that
    fails often to where it began."""
    config = load(TrainConfig, CONFIG / 'openvla.yaml', {'policy': 'NAME'})
    assert (config.groups, config.group_size, config.minibatches) == (64, 8, 4)
    assert (config.temperature, config.learning_rate) == (1.6, 2e-5)
    assert (config.clip_low, config.clip_high, config.max_gradient_norm) == (0.2, 0.28, 1.0)
    assert config.task_indices == tuple(range(10))
    assert config.render_profile == 'stock'
    assert not config.needs_reference
    assert config.cooled_iterations == 0


@pytest.mark.parametrize(
    ('settings', 'named'),
    [
        ({'groups': 0}, 'groups=0'),
        ({'group_size': 1}, 'group_size=1'),
        ({'temperature': 0.0}, 'temperature=0.0'),
        ({'learning_rate': float('nan')}, 'learning_rate=nan'),
        ({'tasks': '1,1'}, 'names one twice'),
        ({'tasks': [-1]}, 'task -1'),
        ({'grop_size': 8}, 'grop_size'),
        ({'iterations': 2.5}, 'iterations=2.5'),
    ],
)
def test_values_out_of_range_are_named(settings, named):
    """One line with the setting and its value."""
    with pytest.raises(UserError, match=named) as error:
        load(TrainConfig, None, settings)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('given', ['3,0', '[3, 0]', '[3,0]', ' [ 3 , 0 ] ', [3, 0]])
def test_a_list_may_be_written_as_yaml_does(given):
    """`tasks:=[3,0]` of a command line is the text of a list, brackets and all."""
    assert load(TrainConfig, None, {'tasks': given}).tasks == (3, 0)


@pytest.mark.parametrize('given', ['', '[]', '[ ]'])
def test_an_empty_list_may_be_written_too(given):
    """All tasks of the suite."""
    assert load(TrainConfig, None, {'tasks': given}).tasks == ()


def test_a_list_that_is_none_is_answered_with_one():
    """How tasks are written, and how all of them, without a name out of the code."""
    with pytest.raises(UserError) as error:
        load(TrainConfig, None, {'tasks': '0-3'})
    assert str(error.value) == (
        "command line: tasks='0-3' is not a valid int; give whole numbers with commas between "
        'them, as in 0,1,2,3 (Tasks of the suite; empty for all)'
    )


@pytest.mark.parametrize('given', ['[3', '3]', '[[3]]', '[3,x]'])
def test_half_a_list_is_refused(given):
    """With the value as it was written."""
    with pytest.raises(UserError, match='is not a valid int'):
        load(TrainConfig, None, {'tasks': given})


@pytest.mark.parametrize(
    ('content', 'message'),
    [(b'name: \xff\xfe', 'is not valid YAML'), (b'1: 2\nfoo: 3', 'unknown setting 1')],
)
def test_a_file_of_another_kind_is_said_in_one_line(tmp_path, content, message):
    """Bytes that are no text, and names that are no names, are a user's error."""
    (tmp_path / 'train.yaml').write_bytes(content)
    with pytest.raises(UserError, match=message) as raised:
        load(TrainConfig, tmp_path / 'train.yaml')
    assert '\n' not in str(raised.value)
