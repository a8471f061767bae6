"""What a launch refuses in one line before any node starts."""

from __future__ import annotations

import sys

import pytest
import yaml
from launch_plans import LAUNCH

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.command import find_launch_file, parse_values
from smoothvla_ros.nodes.launch_runner.plan import make_plan

pytestmark = pytest.mark.usefixtures('elsewhere')


def test_security_that_would_protect_nothing_is_refused(monkeypatch):
    """Nodes that ask for keys and run without them would be open to everyone."""
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.delenv('ROS_SECURITY_STRATEGY', raising=False)
    with pytest.raises(UserError, match='security:=true needs ROS_SECURITY_STRATEGY=Enforce'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'real', 'security': 'true'})
    with pytest.raises(UserError, match='the twin has no enclave'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'twin', 'security': 'true'})
    seen = (('record', 'true'), ('viewer', 'rerun'), ('viewer', 'rviz'), ('rviz', 'true'))
    for name, value in seen:
        with pytest.raises(UserError, match='have no enclave'):
            make_plan(
                LAUNCH / 'deploy.launch.py',
                {'hardware': 'real', 'security': 'true', name: value},
            )


def test_two_viewers_at_once_are_refused():
    """One would be dropped without a word."""
    with pytest.raises(UserError, match='viewer:=rerun and rviz:=true'):
        make_plan(LAUNCH / 'train.launch.py', {'viewer': 'rerun', 'rviz': 'true'})


def test_hardware_without_ros_is_one_line(monkeypatch):
    """What needs ros2_control says so where there is none, and what to do instead."""
    monkeypatch.setitem(sys.modules, 'xacro', None)
    with pytest.raises(UserError, match=r'hardware:=mock needs xacro .* or use hardware:=twin'):
        make_plan(LAUNCH / 'deploy.launch.py', {'hardware': 'mock'})


def test_bad_arguments_are_user_errors():
    """Unknown, of another form, not among the choices, and a file that is not there."""
    train = LAUNCH / 'train.launch.py'
    with pytest.raises(UserError, match=r"unknown argument 'qqq'; known: config, namespace"):
        make_plan(train, {'qqq': 'x'})
    with pytest.raises(UserError, match='render_profile:=nice is unknown; choose from stock, fast'):
        make_plan(train, {'render_profile': 'nice'})
    with pytest.raises(UserError, match='not of the form key:=value'):
        parse_values(['suite=x'])
    with pytest.raises(UserError, match=r'there are deploy\.launch\.py, evaluate'):
        find_launch_file('tain.launch.py')


@pytest.mark.parametrize(
    ('file', 'name', 'words'),
    [
        ('evaluate', 'output', r'did you mean out:=\?; known: config'),
        ('train', 'out', r'did you mean output:=\?; known: config'),
        ('train', 'sute', r'did you mean suite:=\?; known: config'),
        (
            'train',
            'learning_rate',
            r"'learning_rate' is a setting of grpo_trainer and no argument; put "
            r'"/\*\*/grpo_trainer: {ros__parameters: {learning_rate: VALUE}}" into a copy of the '
            r'parameter file, and give config:=COPY',
        ),
        ('evaluate', 'wrong_instruction', r'"/\*\*/evaluator: {ros__parameters: {wrong_instr'),
        ('deploy', 'rate_hz', r'"/\*\*/motion_guard: {ros__parameters: {rate_hz: VALUE}}"'),
    ],
)
def test_what_an_unknown_argument_was_meant_for(file, name, words):
    """A name of nearly that spelling, or the lines of the parameter file that set it."""
    with pytest.raises(UserError, match=words):
        make_plan(LAUNCH / f'{file}.launch.py', {name: 'x'})


@pytest.mark.parametrize(
    ('file', 'given', 'words'),
    [
        ('train', {'suite': 'libero_moon'}, "suite 'libero_moon' is unknown; choose from libero_s"),
        ('train', {'tasks': '0,10'}, "task 10 of suite 'libero_spatial' is unknown; choose from 0"),
        (
            'train',
            {'tasks': 'one'},
            "grpo_trainer: tasks='one' is not a valid int; give whole numbers with commas between",
        ),
        ('train', {'reward': 'fast'}, "reward='fast' is unknown; choose from binary"),
        ('train', {'groups': '0'}, 'groups=0 is too small; the smallest allowed is 1'),
        ('train', {'iterations': '-1'}, 'training: iterations=-1 is too small'),
        ('train', {'group_size': '1000000000'}, 'group_size=1000000000 is too large; the largest'),
        ('train', {'temperature': 'nan'}, 'temperature=nan is not a finite number'),
        ('train', {'output': '/dev/null'}, 'output=/dev/null: /dev/null is not a folder; choose'),
        ('train', {'namespace': '1st'}, 'namespace:=1st is no ROS namespace; use letters'),
        ('deploy', {'namespace': 'lab//left'}, 'namespace:=lab//left is no ROS namespace'),
        ('deploy', {'speed': 'x'}, "arguments of twin: speed='x' is not a valid float; give a num"),
        ('deploy', {'speed': '0'}, 'twin: speed=0.0 is too small; the smallest allowed is 0.01'),
        ('deploy', {'suite': 'libero_moon'}, "suite 'libero_moon' is unknown; choose from libero"),
        ('deploy', {'task': '10'}, "task 10 of suite 'libero_object' is unknown; choose from 0"),
        ('deploy', {'task': 'milk'}, "task='milk' is not a valid int; give a whole number"),
        ('deploy', {'episodes': '0'}, 'twin: episodes=0 is too small'),
        (
            'monitor',
            {'joint_states': '/joint_states', 'robots': '2'},
            'joint_states=/joint_states is the topic of one robot, but robots=2',
        ),
        ('deploy', {'scenes': '0'}, 'operator: scenes=0 is too small'),
        (
            'monitor',
            {'viewer': 'rviz', 'robot_description': '/my arm'},
            'robot_description:=/my arm is no ROS topic; use letters',
        ),
        ('deploy', {'publish_clock': 'perhaps'}, "publish_clock='perhaps' is not a valid bool"),
        ('deploy', {'joint_rate_hz': 'fast'}, "joint_rate_hz='fast' is not a valid float"),
        ('deploy', {'config': '/nowhere'}, 'config:=/nowhere: No such file or directory; give a'),
        ('train', {'config': '/nowhere'}, 'config:=/nowhere: No such file or directory; give a'),
        ('train', {'config': __file__}, r'test_launch_refusals\.py is n'),
        ('evaluate', {'temperatures': '0,nan'}, 'temperatures=.*nan.* is not a finite number'),
        ('evaluate', {'tasks': '10'}, "task 10 of suite 'libero_spatial' is unknown"),
        ('evaluate', {'out': '/dev/null/x'}, 'out=/dev/null/x: /dev/null is not a folder; choose'),
        (
            'evaluate',
            {'record': 'true', 'recording': '/dev/null'},
            'recording=/dev/null exists already; record to another folder',
        ),
        (
            'train',
            {'record': 'true', 'recording': '/dev/null/bag'},
            'recording=/dev/null/bag: /dev/null is not a folder; choose another one',
        ),
        ('evaluate', {'episodes': '0'}, 'evaluation: episodes=0 is too small'),
        ('evaluate', {'compare': 'my/old/policy'}, "policy 'my/old/policy' not found at my/old"),
        (
            'train',
            {'policy': '/nowhere'},
            "policy '/nowhere' not found at /nowhere; give 'default'",
        ),
        (
            'deploy',
            {'policy': '/nowhere'},
            "policy '/nowhere' not found at /nowhere; give 'default'",
        ),
    ],
)
def test_what_a_node_would_refuse_is_refused_before_any_starts(file, given, words):
    """One line within a second, not one among the words of four nodes half a minute later."""
    with pytest.raises(UserError, match=words):
        make_plan(LAUNCH / f'{file}.launch.py', given)


def test_arguments_are_checked_together_with_the_parameter_file(tmp_path):
    """Task 50 exists in the suite that the file names, in the namespace that both speak of."""
    file = tmp_path / 'mine.yaml'
    settings = {'suite': 'libero_90', 'robots': 1}
    file.write_text(yaml.dump({'/lab/grpo_trainer': {'ros__parameters': settings}}))
    given = {'config': str(file), 'tasks': '50', 'namespace': 'lab'}
    assert make_plan(LAUNCH / 'train.launch.py', given).nodes
    with pytest.raises(UserError, match="task 90 of suite 'libero_90' is unknown"):
        make_plan(LAUNCH / 'train.launch.py', given | {'tasks': '90'})


@pytest.mark.parametrize(
    ('left_out', 'words'),
    [
        ('joint_states', r'says the joints, no relay of it: joint_states:=franka/joint_states \('),
        ('joint_rate_hz', r'give joint_rate_hz, as in joint_rate_hz:=1000 .* or monitor:=false'),
    ],
)
def test_what_only_the_user_knows_of_a_driver_is_asked_for(left_out, words):
    """Its relay is no arm, and a wrong rate measures nothing."""
    given = {'hardware': 'driver', 'joint_states': '/joint_states', 'joint_rate_hz': '500'}
    assert make_plan(LAUNCH / 'deploy.launch.py', given).nodes
    with pytest.raises(UserError, match=f'hardware:=driver: .*{words}'):
        make_plan(LAUNCH / 'deploy.launch.py', given | {left_out: ''})
    if left_out == 'joint_rate_hz':
        unmeasured = given | {left_out: '', 'monitor': 'false'}
        assert make_plan(LAUNCH / 'deploy.launch.py', unmeasured).nodes


@pytest.mark.parametrize('hardware', ['real', 'mock'])
def test_positions_are_not_streamed_to_a_faster_controller(hardware):
    """As shipped the controllers run at 1 kHz: said before any node starts, with what to change."""
    given = {'hardware': hardware, 'controller': 'forward_position_controller'}
    with pytest.raises(UserError, match=r'rate_hz=250 is below the controller rate of 1000 Hz'):
        make_plan(LAUNCH / 'deploy.launch.py', given)
