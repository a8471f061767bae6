"""Who arms the arm of a deployment, and which controllers it has."""

from __future__ import annotations

import pytest
import yaml
from launch_plans import LAUNCH, config_file, parameters, spawned, told

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.plan import make_plan

pytestmark = pytest.mark.usefixtures('elsewhere')


FR3 = {'hardware': 'driver', 'joint_states': 'franka/joint_states', 'joint_rate_hz': '1000'}


@pytest.mark.usefixtures('fake_xacro')
@pytest.mark.parametrize(
    'pattern', ['/**', '/**/motion_guard', '/robot_0/*', 'robot_0/motion_guard']
)
def test_a_real_arm_is_never_armed_by_itself(pattern, tmp_path):
    """Neither by an argument nor by a file: whoever stands beside it calls the service."""
    real = {'hardware': 'real', 'robot_ip': '1.2.3.4'}
    for arm in (real, FR3):
        words = f'auto_arm=true is for simulated arms; with hardware:={arm["hardware"]} leave it'
        with pytest.raises(UserError, match=words):
            make_plan(LAUNCH / 'deploy.launch.py', arm | {'auto_arm': 'true'})
    (file := tmp_path / 'mine.yaml').write_text(
        yaml.dump({pattern: {'ros__parameters': {'auto_arm': True}}})
    )
    armed = {'config': str(file)}
    for arm in (real, FR3):
        with pytest.raises(UserError, match=rf'auto_arm=true .* leave it out, of {file} too'):
            make_plan(LAUNCH / 'deploy.launch.py', arm | armed)
    assert make_plan(LAUNCH / 'deploy.launch.py', armed).nodes
    assert make_plan(LAUNCH / 'deploy.launch.py', real | armed | {'auto_arm': 'false'}).nodes


@pytest.mark.usefixtures('fake_xacro')
def test_no_pattern_of_names_arms_a_real_arm(tmp_path):
    """The launch's own word comes last, whatever a file says in a way that it does not read."""
    for arm in ({'hardware': 'real', 'robot_ip': '1.2.3.4'}, FR3):
        assert told(arm, 'motion_guard', tmp_path)['auto_arm'] is False


def test_a_driver_that_runs_already_gets_our_nodes_beside_it(tmp_path):
    """Nothing of ros2_control, whose controllers it has; all hear the arm on its own topic."""
    command = {'command_topic': '/joint_trajectory_controller/joint_trajectory'}
    given = FR3 | command | {'viewer': 'rerun', 'record': 'true'}
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    assert sorted(node.name for node in plan.nodes) == [
        'camera_agentview',
        'camera_wrist',
        'episodes',
        'jerk_monitor',
        'motion_guard',
        'policy',
        'recorder',
        'rerun_viewer',
    ]
    assert {node.package for node in plan.nodes} == {'smoothvla_ros'}
    for executable in ('policy', 'motion_guard', 'jerk_monitor', 'rerun_viewer'):
        values = told(given, executable, tmp_path)
        assert values['joint_states'] == 'franka/joint_states'
        assert not values.get('use_sim_time')
    assert told(given, 'jerk_monitor', tmp_path)['rate_hz'] == '1000'
    guard = told(given, 'motion_guard', tmp_path)
    assert guard['command_topic'] == command['command_topic']
    assert guard['gripper_topic'] == 'franka_gripper/gripper_action'
    assert told(given, 'policy', tmp_path)['gripper_states'] == 'franka_gripper/joint_states'
    bare = given | {'hand': 'none', 'cameras': 'false', 'viewer': 'none', 'record': 'false'}
    assert len(make_plan(LAUNCH / 'deploy.launch.py', bare).nodes) == 3
    assert 'gripper' not in told(bare, 'motion_guard', tmp_path)


@pytest.mark.parametrize('node', ['policy', 'motion_guard', 'jerk_monitor'])
def test_one_node_that_the_file_tells_the_topic_of_the_joints_tells_the_others(node, tmp_path):
    """A guard on the arm and a policy on its relay would speak of two arms."""
    in_file = config_file(tmp_path, **{node: {'joint_states': '/joint_states'}})
    given = {'hardware': 'driver', 'joint_rate_hz': '500'} | in_file
    for executable in ('policy', 'motion_guard', 'jerk_monitor'):
        assert told(given, executable, tmp_path)['joint_states'] == '/joint_states'
    two = {'policy': {'joint_states': 'joint_states'}, 'motion_guard': {'joint_states': '/joints'}}
    with pytest.raises(UserError, match=r'joint_states=/joints and joint_states to nodes that mus'):
        make_plan(LAUNCH / 'deploy.launch.py', given | config_file(tmp_path, **two))


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
        ({'hardware': 'real', 'hand': 'none'}, {'gripper': 'parallel_gripper_command'}, True),
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
