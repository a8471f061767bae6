"""The SROS 2 policy file: what it allows is what our nodes really do, and no more on the arm."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from graph_world import SeededPolicy
from rclpy.parameter import Parameter

from smoothvla_ros.nodes.camera import Camera
from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor
from smoothvla_ros.nodes.motion_guard.node import MotionGuardNode
from smoothvla_ros.nodes.policy import weights as policy_weights
from smoothvla_ros.nodes.policy.node import PolicyNode

FILE = Path(__file__).parents[2] / 'config' / 'security' / 'policy.xml'
ROOT = ElementTree.parse(FILE).getroot()
# What every node has, and what only some graphs use.
COMMON = {'/rosout', '/parameter_events', '/diagnostics', '/clock'}
COMMANDS = {
    f'/robot_0/{topic}'
    for topic in (
        'joint_trajectory_controller/joint_trajectory',
        'forward_position_controller/commands',
        'gripper_controller/joint_trajectory',
        'gripper_controller/commands',
    )
}


def allowed(kind):
    """{node: names that it may publish, subscribe, reply or request}, all absolute."""
    found = {}
    for profile in ROOT.iter('profile'):
        private = f'{profile.get("ns").rstrip("/")}/{profile.get("node")}'
        names = {
            item.text.replace('~', private, 1)
            for group in profile
            if group.get(kind) == 'ALLOW'
            for item in group
        }
        found.setdefault(private, set()).update(names)
    return found


@pytest.fixture
def make(ros, monkeypatch):
    nodes = []
    monkeypatch.setattr(policy_weights, 'load_policy', lambda *arguments: SeededPolicy())

    def make_node(kind, namespace='', **parameters):
        values = [Parameter(name, value=value) for name, value in parameters.items()]
        nodes.append(kind(parameter_overrides=values, namespace=namespace))
        nodes[-1].autostart()
        return nodes[-1]

    yield make_node
    for node in nodes:
        node.stop()
        node.destroy_node()


@pytest.mark.parametrize(
    ('kind', 'parameters', 'called'),
    [
        (
            PolicyNode,
            {
                'graph': 'real_arm',
                'robots': 1,
                'policy': 'x',
                'gripper_states': 'franka_gripper/joint_states',
            },
            '/policy',
        ),
        (JerkMonitor, {'graph': 'real_arm', 'robots': 1}, '/jerk_monitor'),
        (
            JerkMonitor,
            {
                'graph': 'real_arm',
                'robots': 1,
                'joint_states': 'motion_guard/commanded_joint_states',
                'jerk': 'commanded_jerk',
            },
            '/commanded_jerk_monitor',
        ),
        (Camera, {'source': 'pattern', 'camera': 'wrist'}, '/camera_wrist'),
    ],
)
def test_nodes_have_the_topics_that_they_may_have(make, kind, parameters, called):
    """A topic that is missing in the file would be cut off on the arm; one too many is a hole."""
    node = make(kind, **parameters)
    own = f'/{node.get_name()}/'

    def as_called(name):
        return name.replace(own, f'{called}/', 1) if name.startswith(own) else name

    for kind_of_access, entities in (
        ('publish', node.publishers),
        ('subscribe', node.subscriptions),
    ):
        real = {as_called(entity.topic_name) for entity in entities}
        may = allowed(kind_of_access)[called]
        assert real - COMMON <= may, kind_of_access
        # The first is made below rclpy, the second is not published yet.
        optional = {name for name in may if name.endswith(('/transition_event', '_markers'))}
        assert may - COMMON - optional <= real, kind_of_access
    services = {as_called(service.service_name) for service in node.services}
    assert services <= allowed('reply')[called]


def test_guard_has_no_topic_that_it_may_not_have(make):
    """With either controller; it may have more than it has, since it has one controller at once."""
    for controller in ('joint_trajectory_controller', 'forward_position_controller'):
        # Streaming is refused below the controller's rate.
        guard = make(
            MotionGuardNode,
            namespace='robot_0',
            controller=controller,
            rate_hz=500.0,
            controller_rate_hz=500.0,
        )
        for access, entities in (
            ('publish', guard.publishers),
            ('subscribe', guard.subscriptions),
        ):
            real = {entity.topic_name for entity in entities}
            assert real - COMMON <= allowed(access)['/robot_0/motion_guard']
        services = {service.service_name for service in guard.services}
        assert services <= allowed('reply')['/robot_0/motion_guard']


def test_only_the_guard_may_command_the_arm():
    """Whatever else is on the network: the controllers hear nobody else."""
    publishers = {name for name, topics in allowed('publish').items() if topics & COMMANDS}
    assert publishers == {'/robot_0/motion_guard'}
    assert allowed('publish')['/robot_0/motion_guard'] >= COMMANDS


def test_only_the_operator_may_arm_it():
    """No node of ours can; e_stop too is the operator's."""
    armers = {
        name
        for name, services in allowed('request').items()
        if any('motion_guard' in service for service in services)
    }
    assert armers == {'/robot_0/operator'}


def test_nodes_of_ros2_control_have_what_jazzy_s_make():
    """Where one is denied, the node that makes it throws: then there is no controller or no arm."""
    parameters = {
        'describe_parameters',
        'get_parameter_types',
        'get_parameters',
        'list_parameters',
        'set_parameters',
        'set_parameters_atomically',
        'get_type_description',
    }
    # C++ nodes whose options ask for the service of loggers: manager, controllers, hardware.
    loggers = parameters | {'get_logger_levels', 'set_logger_levels'}
    trajectories = ('joint_trajectory_controller', 'gripper_controller')
    needed = {
        'controller_manager': loggers,
        'joint_state_broadcaster': loggers,
        'forward_position_controller': loggers,
        'panda_arm': loggers,
        'panda_hand': loggers,
        'spawner_active': parameters,
        'spawner_inactive': parameters,
    } | dict.fromkeys(trajectories, loggers)
    reply, subscribe = allowed('reply'), allowed('subscribe')
    for name, services in needed.items():
        node = f'/robot_0/{name}'
        assert {f'{node}/{service}' for service in services} <= reply.get(node, set()), name
    for name in trajectories:
        assert f'/robot_0/{name}/speed_scaling_input' in subscribe[f'/robot_0/{name}']


def test_nothing_is_allowed_by_pattern():
    """A wildcard would allow what nobody has read."""
    for item in ROOT.iter():
        assert '*' not in (item.text or '')


def test_file_fits_the_schema():
    """As sros2 itself checks it, where it is installed."""
    policy = pytest.importorskip('sros2.policy', reason='no sros2: it comes with ROS 2')
    etree = pytest.importorskip('lxml.etree', reason='no lxml: it comes with sros2')
    schema = etree.XMLSchema(etree.parse(policy.get_policy_schema('policy.xsd')))
    schema.assertValid(etree.parse(str(FILE)))
