"""Who arms the arm of a deployment, and which controllers it has."""

from __future__ import annotations

import pytest
import yaml
from launch_plans import LAUNCH, config_file, parameters, spawned, told

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.plan import make_plan

pytestmark = pytest.mark.usefixtures('elsewhere')


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    'pattern', ['/**', '/**/motion_guard', '/robot_0/*', 'robot_0/motion_guard']
)
def test_a_real_arm_is_never_armed_by_itself(pattern, tmp_path):
    """Neither by an argument nor by a file: whoever stands beside it calls the service."""
    real = {'hardware': 'real', 'robot_ip': '1.2.3.4'}
    with pytest.raises(UserError, match='auto_arm=true is for simulated arms'):
        make_plan(LAUNCH / 'deploy.launch.py', real | {'auto_arm': 'true'})
    (file := tmp_path / 'mine.yaml').write_text(
        yaml.dump({pattern: {'ros__parameters': {'auto_arm': True}}})
    )
    armed = {'config': str(file)}
    with pytest.raises(UserError, match=rf'auto_arm=true .* leave it out, of {file} too'):
        make_plan(LAUNCH / 'deploy.launch.py', real | armed)
    assert make_plan(LAUNCH / 'deploy.launch.py', armed).nodes
    assert make_plan(LAUNCH / 'deploy.launch.py', real | armed | {'auto_arm': 'false'}).nodes


@pytest.mark.usefixtures('fake_xacro')
def test_no_pattern_of_names_arms_a_real_arm(tmp_path):
    """The launch's own word comes last, whatever a file says in a way that it does not read."""
    real = {'hardware': 'real', 'robot_ip': '1.2.3.4'}
    assert told(real, 'motion_guard', tmp_path)['auto_arm'] is False


@pytest.mark.parametrize(
    ('given', 'operators', 'episodes'),
    [
        ({}, 1, None),
        ({'scenes': '20'}, 1, 20),
        ({'scenes': '20', 'episodes': '30'}, 1, '30'),
        ({'operator': 'false'}, 0, None),
        ({'hardware': 'mock'}, 0, None),
    ],
)
def test_the_twin_alone_has_an_operator_and_scenes_enough(given, operators, episodes, tmp_path):
    """No arm that could hurt anybody is armed by a program; no scene is played twice."""
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    assert sum(node.executable == 'twin_operator' for node in plan.nodes) == operators
    for node in plan.nodes:
        if node.name == 'twin':
            (values,) = (item['values'] for item in parameters(node, tmp_path) if 'values' in item)
            assert values['/twin']['ros__parameters'].get('episodes') == episodes


@pytest.mark.parametrize(
    ('given', 'stay'),
    [
        ({}, None),
        ({'viewer': 'rerun'}, True),
        ({'rviz': 'true'}, True),
        ({'viewer': 'rerun', 'stay': 'false'}, 'false'),
        ({'stay': 'true'}, 'true'),
    ],
)
def test_a_graph_that_is_watched_stays_after_its_last_scene(given, stay, tmp_path):
    """Unless it is said otherwise, by an argument or a parameter file."""
    assert told(given, 'twin_operator', tmp_path).get('stay') == stay
    in_a_file = config_file(tmp_path, operator={'stay': False})
    over_it = given.get('stay')
    assert told(given | in_a_file, 'twin_operator', tmp_path).get('stay') == over_it


@pytest.mark.usefixtures('fake_xacro')
def test_the_controller_of_the_parameter_file_is_the_one_that_is_activated(tmp_path):
    """Guard and spawner would else speak of two, and nothing would move."""
    streamed = {'controller': 'forward_position_controller', 'controller_rate_hz': 250.0}
    given = {'hardware': 'mock'} | config_file(tmp_path, motion_guard=streamed)
    active, inactive = spawned(given)
    assert 'forward_position_controller' in active
    assert inactive == ['joint_trajectory_controller']
    active, inactive = spawned(given | {'controller': 'joint_trajectory_controller'})
    assert 'joint_trajectory_controller' in active
    assert inactive == ['forward_position_controller']
    # The twin's rates follow from it, as they do from the argument.
    twin = config_file(tmp_path, motion_guard={'controller': 'forward_position_controller'})
    assert told(twin, 'motion_guard', tmp_path)['rate_hz'] == 500.0


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    ('given', 'guard', 'spawns'),
    [
        ({'hardware': 'mock'}, {}, True),
        ({'hardware': 'mock'}, {'gripper': 'positions'}, True),
        ({'hardware': 'mock'}, {'gripper': 'none'}, False),
        ({'hardware': 'real'}, {'gripper': 'positions'}, False),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'positions'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'joint_trajectory'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'gripper_command'}, True),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper_topic': 'fingers/go'}, False),
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'none'}, False),
    ],
)
def test_a_gripper_of_ros2_control_has_its_controller(given, guard, spawns, tmp_path):
    """Wherever the guard commands gripper_controller, there is one that listens."""
    active, _ = spawned(given | {'robot_ip': '1.2.3.4'} | config_file(tmp_path, motion_guard=guard))
    assert ('gripper_controller' in active) is spawns


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize('hand', ['none', ''])
def test_a_gripper_of_ones_own_is_left_to_the_parameter_file(hand, tmp_path):
    """Without a hand nothing overrides the file `config`, so a robot of one's own needs no code."""
    given = {'hardware': 'real', 'robot_ip': '1.2.3.4', 'hand': hand}
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    (guard,) = [node for node in plan.nodes if node.executable == 'motion_guard']
    (policy,) = [node for node in plan.nodes if node.executable == 'policy']
    items = [*parameters(guard, tmp_path), *parameters(policy, tmp_path)]
    assert 'gripper' not in str([item for item in items if 'values' in item])
