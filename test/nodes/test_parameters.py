"""A configuration dataclass as ROS parameters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.episodes import Episodes


@dataclass(frozen=True)
class Sample:
    """Every type that a setting may have."""

    gain: float = setting(0.5, 'A gain', minimum=0.0, maximum=2.0)
    count: int = setting(3, 'A count', minimum=1)
    mode: str = setting('a', 'A mode', choices=('a', 'b'))
    tasks: tuple[int, ...] = setting((), 'Some tasks')
    folder: Path = setting(Path('runs'), 'A folder')
    other: str | None = setting(None, 'Maybe something')
    flag: bool = setting(False, 'A flag')

    def __post_init__(self):
        validate(self, 'sample')


@pytest.fixture
def make(ros):
    nodes = []

    def make_node(**overrides):
        node = Node(
            f'parameters_{len(nodes)}',
            parameter_overrides=[Parameter(name, value=value) for name, value in overrides.items()],
        )
        nodes.append(node)
        return node

    yield make_node
    for node in nodes:
        node.destroy_node()


def test_defaults_come_from_the_dataclass(make):
    """Value, description and range stand in one place."""
    node = make()
    assert declare(node, Sample) == Sample()
    descriptor = node.describe_parameter('gain')
    assert descriptor.description == 'A gain'
    assert descriptor.floating_point_range[0].to_value == 2.0
    assert node.describe_parameter('mode').additional_constraints == 'one of a, b'
    assert node.get_parameter('folder').value == 'runs'


def test_values_are_converted_as_a_user_means_them(make):
    """A whole number for a double, text from a launch file, one value for a list."""
    node = make(gain=1, count='7', tasks=4, flag='true', other='x', folder='there')
    config = declare(node, Sample)
    assert config == Sample(1.0, 7, 'a', (4,), Path('there'), 'x', True)
    assert node.get_parameter('gain').value == 1.0
    assert declare(make(tasks='0,2'), Sample).tasks == (0, 2)
    assert declare(make(tasks=[1, 2]), Sample).tasks == (1, 2)


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        ({'gain': 3.0}, 'gain=3.0 is too large'),
        ({'mode': 'c'}, 'choose from a, b'),
        ({'count': 1.5}, 'count=1.5 is not a valid int'),
        ({'count': 'many'}, "count='many' is not a valid int"),
    ],
)
def test_bad_values_are_user_errors(make, overrides, words):
    """One line that names the value and what is allowed."""
    with pytest.raises(UserError, match=words):
        declare(make(**overrides), Sample)


def test_parameters_are_fixed_once_read(make):
    """A value that nobody would look at again cannot be set."""
    node = make()
    declare(node, Sample)
    assert not node.set_parameters([Parameter('gain', value=1.0)])[0].successful


@pytest.mark.parametrize(
    ('name', 'words'),
    [
        ('gian', r"parameters of /parameters_0: unknown parameter 'gian'; did you mean 'gain'\?"),
        ('learning_rte', r"unknown parameter 'learning_rte'; did you mean 'learning_rate'\?"),
    ],
)
def test_a_misspelt_parameter_is_refused(make, name, words):
    """It would leave the default in its place, without a word."""
    with pytest.raises(UserError, match=words):
        declare(make(**{name: 1}), Sample)


def test_what_another_node_or_ros_knows_passes(make):
    """A file speaks to all nodes below /**, and ROS has parameters of its own."""
    others = {'limits': 'vendor', 'autostart': False, 'use_sim_time': True}
    others |= {'start_type_description_service': True, 'qos_overrides./clock.depth': 3}
    # A robot_state_publisher's, below the same /**.
    others |= {'publish_frequency': 50.0}
    assert declare(make(gain=1, **others), Sample).gain == 1.0


def test_an_empty_list_of_a_file_is_refused(ros, tmp_path):
    """ROS drops it, and the default would hold; '' is empty."""
    file = tmp_path / 'mine.yaml'
    for text, expected in (("''", ()), ('[1]', (1,)), ('[]', None)):
        file.write_text(f'/**: {{ros__parameters: {{tasks: {text}}}}}')
        node = Node('listed', cli_args=['--ros-args', '--params-file', str(file)])
        if expected is None:
            with pytest.raises(UserError, match=r"/listed: tasks=\[\] .*; write '' for empty"):
                declare(node, Sample)
        else:
            assert declare(node, Sample).tasks == expected
        node.destroy_node()


def test_a_node_without_parameters_refuses_them_too(ros):
    """It declares nothing, so nothing else would look at what it was given."""
    node = Episodes(parameter_overrides=[Parameter('autostrat', value=False)])
    with pytest.raises(UserError, match=r"/episodes: .*'autostrat'; did you mean 'autostart'\?"):
        node.autostart()
    node.destroy_node()
