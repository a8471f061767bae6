"""The parameter file of a launch: read as the nodes read it, and refused where none would."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rclpy.node import Node

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.plan import make_plan
from smoothvla_ros.nodes.launching.parameter_files import effective, matches, parameters_of

ROOT = Path(__file__).parents[2]
SHIPPED = [
    file
    for file in sorted((ROOT / 'config').glob('*.yaml'))
    # The matrix of a benchmark, settings of a training, and parameters of other packages' nodes.
    if file.stem not in ('benchmark', 'openvla', 'controllers')
]


@pytest.fixture
def written(tmp_path):
    """A parameter file of some lines, as the argument `config`."""

    def write(text, **others):
        file = tmp_path / 'mine.yaml'
        file.write_text(text)
        return {'config': str(file), **others}

    return write


def heard(file):
    """Return which of a guard's parameters ROS takes from a file, for /robot_0/motion_guard."""
    node = Node(
        'motion_guard',
        namespace='robot_0',
        cli_args=['--ros-args', '--params-file', file],
        automatically_declare_parameters_from_overrides=True,
    )
    names = ('limits', 'rate_hz')
    values = {name: node.get_parameter(name).value for name in names if node.has_parameter(name)}
    node.destroy_node()
    return values


@pytest.mark.parametrize(
    'pattern', ['motion_guard', '/*', '/*/*/motion_guard', '/lab/**', 'robot_0/*/motion_guard']
)
def test_what_the_node_does_not_read_the_launch_does_not_either(ros, written, pattern):
    """A pattern that is of nearly that name."""
    config = written(f'"{pattern}": {{ros__parameters: {{limits: vendor}}}}')['config']
    assert heard(config) == {}
    assert not matches(pattern, '/robot_0/motion_guard')


@pytest.mark.parametrize(
    'text',
    [
        'robot_0/motion_guard: {ros__parameters: {limits: vendor}}',
        '/robot_0/motion_guard: {ros__parameters: {limits: vendor}}',
        'robot_0: {motion_guard: {ros__parameters: {limits: vendor}}}',
        '/**: {motion_guard: {ros__parameters: {limits: vendor}}}',
        "/robot_0: {'*': {ros__parameters: {limits: vendor}}}",
        '"**/motion_guard": {ros__parameters: {limits: vendor}}',
        '/*/motion_guard: {ros__parameters: {limits: vendor}}',
        '/**/robot_0/**/motion_guard: {ros__parameters: {limits: vendor}}',
        '/**: {ros__parameters: {limits: vendor}}',
        '/robot_0/motion_guard: {ros__parameters: {limits: vendor}}\n'
        '/**: {ros__parameters: {limits: comfort}}',
        '/**/motion_guard: {ros__parameters: {limits: vendor}}\n'
        'robot_0: {motion_guard: {ros__parameters: {rate_hz: 100.0}}}',
    ],
)
def test_a_file_is_read_as_the_node_reads_it(ros, written, text):
    """Or the launch would check, and tell others, what the guard does not go by."""
    configurations = written(text)
    said = heard(configurations['config'])
    assert said
    assert parameters_of('motion_guard', configurations) == said


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        (
            'motion_guard: {ros__parameters: {limits: vendor}}',
            '/motion_guard: motion_guard runs as /robot_0/motion_guard, which is another name; '
            'write /**/motion_guard: or /robot_0/motion_guard:',
        ),
        ('/*: {ros__parameters: {auto_arm: true}}', "unknown parameter 'auto_arm'"),
        (
            '/lab/policy: {ros__parameters: {devise: cpu}}',
            "/lab/policy: unknown parameter 'devise'",
        ),
        ('/**/guard: {ros__parameters: {limits: vendor}}', "there is no node 'guard'; known: cam"),
        ('/**/motion_gard: {ros__parameters: {}}', 'did you mean /**/motion_guard:?'),
        ('/**/camera: {ros__parameters: {source: pattern}}', "there is no node 'camera'; known: "),
        (
            '/**/motion_guard: {ros__parameters: {limit: vendor, max_tracking_eror_rad: 0.02}}',
            "/**/motion_guard: unknown parameter 'limit'; did you mean 'limits'?",
        ),
        # Known to the policy, and not to the guard.
        ('/**/motion_guard: {ros__parameters: {temperature: 1.0}}', "parameter 'temperature'"),
        ('/**: {ros__parameters: {lmits: vendor}}', "/**: unknown parameter 'lmits'; did you mean"),
    ],
)
def test_what_no_node_would_read_is_refused(written, text, words):
    """It would be ignored without a word, and the default hold."""
    with pytest.raises(UserError) as refusal:
        make_plan(ROOT / 'launch' / 'deploy.launch.py', written(text))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ('value', 'words'),
    [
        ('[]', '/**/twin: cameras=[] is no parameter for ROS, and the default would hold; write '),
        ('null', "/**/twin: cameras=null is text for ROS; write '' for empty"),
    ],
)
def test_an_empty_value_is_refused(written, value, words):
    """The node would have another one than the launch has looked at."""
    with pytest.raises(UserError) as refusal:
        make_plan(
            ROOT / 'launch' / 'deploy.launch.py',
            written(f'/**/twin: {{ros__parameters: {{cameras: {value}}}}}'),
        )
    assert words in str(refusal.value)


@pytest.mark.parametrize('launch', ['train', 'evaluate', 'monitor'])
def test_every_launch_file_looks(written, launch, monkeypatch, tmp_path):
    """Each has a check of its own arguments; none may leave out that of the file."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="parameter 'learning_rte'; did you mean 'learning_rate'"):
        make_plan(
            ROOT / 'launch' / f'{launch}.launch.py',
            written('/**/grpo_trainer: {ros__parameters: {learning_rte: 1e-4}}'),
        )


def test_a_file_may_say_what_any_of_our_nodes_and_ros_know(written):
    """Whichever nodes run: the file of one launch is given to another, in any namespace."""
    text = (
        '/**: {ros__parameters: {use_sim_time: true, learning_rate: 0.1, autostart: true}}\n'
        '/**/grpo_trainer: {ros__parameters: {qos_overrides: {/clock: {depth: 1}}}}\n'
        '/**/camera_wrist: {ros__parameters: {source: pattern}}\n'
        '/floor/lab/robot_0/motion_guard: {ros__parameters: {limits: vendor}}\n'
    )
    inside = written(text, namespace='lab', ros_namespace='/floor')
    assert parameters_of('motion_guard', inside)['limits'] == 'vendor'
    assert 'limits' not in parameters_of('policy', inside)
    # Absolute: a launch around it does not move the nodes, and the section is another guard's.
    assert 'limits' not in parameters_of('motion_guard', inside | {'namespace': '/lab'})


def test_a_file_may_speak_to_other_arms_and_other_packages(written):
    """One file for everything is ROS's way: two arms with limits of their own, their drivers."""
    text = (
        '/**: {ros__parameters: {publish_frequency: 50.0}}\n'
        '/**/controller_manager: {ros__parameters: {update_rate: 500}}\n'
        '/**/robot_state_publisher: {ros__parameters: {frame_prefix: left_}}\n'
        '/**/camera_front: {ros__parameters: {source: pattern}}\n'
        '/left/robot_0/motion_guard: {ros__parameters: {limits: vendor}}\n'
        '/right/robot_0/motion_guard: {ros__parameters: {limits: comfort}}\n'
        '/right/**: {ros__parameters: {temperature: 1.0}}\n'
    )
    for namespace, limits in (('left', 'vendor'), ('right', 'comfort')):
        found = parameters_of('motion_guard', written(text, namespace=namespace))
        assert found['limits'] == limits
    assert parameters_of('policy', written(text, namespace='right'))['temperature'] == 1.0


ORDERS = [
    # As docs/deploy.md has it: the arm's file for all nodes, a slower one for the guard.
    (
        '/**: {ros__parameters: {limits: vendor}}\n'
        '/**/motion_guard: {ros__parameters: {limits: comfort}}\n'
    ),
    (
        '/**/motion_guard: {ros__parameters: {limits: comfort}}\n'
        '/**: {ros__parameters: {limits: vendor}}\n'
    ),
    'robot_0/motion_guard: {ros__parameters: {limits: vendor}}',
]


@pytest.mark.parametrize('text', ORDERS)
def test_files_on_top_of_each_other_are_read_as_the_node_reads_them(ros, written, text):
    """ROS makes one list of both: a section keeps the place where its pattern stood first."""
    configurations = written(text)
    node = Node(
        'motion_guard',
        namespace='robot_0',
        cli_args=[
            *('--ros-args', '--params-file', str(ROOT / 'config' / 'motion_guard.yaml')),
            *('--params-file', configurations['config']),
        ],
        automatically_declare_parameters_from_overrides=True,
    )
    said = node.get_parameter('limits').value
    node.destroy_node()
    shipped = ROOT / 'config' / 'motion_guard.yaml'
    assert effective('motion_guard', shipped, configurations)['limits'] == said
    if text == ORDERS[0]:
        assert said == 'comfort'


def test_a_file_that_would_override_what_the_launch_says_is_refused(written):
    """A general section after the node's own is the stronger, also than a launch argument."""
    text = (
        '/robot_0/motion_guard: {ros__parameters: {rate_hz: 250.0}}\n'
        '/**/motion_guard: {ros__parameters: {controller: forward_position_controller}}\n'
    )
    arguments = written(text, controller='joint_trajectory_controller')
    with pytest.raises(UserError, match='controller=forward_position_controller there would overr'):
        make_plan(ROOT / 'launch' / 'deploy.launch.py', arguments)


@pytest.mark.parametrize('file', SHIPPED, ids=lambda file: file.name)
def test_shipped_files_pass(file):
    """Each is a parameter file of a launch, or is copied to become one."""
    assert yaml.safe_load(file.read_text())
    parameters_of('policy', {'config': str(file)})
