"""The Panda for ros2_control: made by the real xacro where it is installed."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pinocchio as pin
import pytest
import yaml

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot_descriptions import robot_description

ROOT = Path(__file__).parents[2]
XACRO = ROOT / 'urdf' / 'panda.urdf.xacro'
ARM = [f'panda_joint{number}' for number in range(1, 8)]


@pytest.fixture
def xacro():
    return pytest.importorskip('xacro', reason='no xacro: it comes with ROS 2')


def process(xacro, **mappings):
    links = str(robot_description('panda_description/urdf/panda.urdf'))
    document = xacro.process_file(str(XACRO), mappings={'description': links} | mappings)
    return document.toxml()


def interfaces(xml):
    """{joint: (command interfaces, state interfaces)} and {system: (plugin, parameters)}."""
    joints, systems = {}, {}
    for system in ElementTree.fromstring(xml).iter('ros2_control'):
        parameters = {p.get('name'): p.text for p in system.find('hardware').iter('param')}
        systems[system.get('name')] = (system.find('hardware/plugin').text, parameters)
        for joint in system.iter('joint'):
            joints[joint.get('name')] = tuple(
                [item.get('name') for item in joint.iter(kind)]
                for kind in ('command_interface', 'state_interface')
            )
    return joints, systems


def test_mock_moves_arm_and_fingers(xacro):
    """Every joint that a controller commands has its interface, in the system that follows."""
    joints, systems = interfaces(process(xacro, hardware_type='mock'))
    assert {plugin for plugin, _ in systems.values()} == {'mock_components/GenericSystem'}
    for name in (*ARM, 'panda_finger_joint1'):
        assert joints[name] == (['position'], ['position', 'velocity'])
    assert joints['panda_finger_joint2'] == ([], ['position', 'velocity'])


def test_real_arm_is_the_driver_s(xacro):
    """The driver's plugin with its address; the hand is not of ros2_control."""
    xml = process(xacro, hardware_type='real', robot_ip='10.0.0.7')
    joints, systems = interfaces(xml)
    ((plugin, parameters),) = systems.values()
    assert plugin == 'franka_hardware/FrankaHardwareInterface'
    assert parameters['robot_ip'] == '10.0.0.7'
    assert sorted(joints) == ARM


def test_links_are_those_of_the_other_package(xacro):
    """Nothing is copied and nothing changed: the tool is where the policy's kinematics have it."""
    built = pin.buildModelFromXML(process(xacro))
    original = Arm.panda()
    data = built.createData()
    configuration = pin.neutral(built)
    pin.framesForwardKinematics(built, data, configuration)
    hand = data.oMf[built.getFrameId('panda_hand')]
    position, _ = original.tool_pose(configuration[:7])
    assert hand.act(pin.SE3.Identity()).translation + hand.rotation @ [0, 0, 0.0965] == (
        pytest.approx(position)
    )


@pytest.mark.parametrize(
    ('mappings', 'words'),
    [
        ({'hardware_type': 'moc'}, 'choose from mock, real'),
        ({'hardware_type': 'real'}, 'needs robot_ip'),
    ],
)
def test_wrong_arguments_are_said(xacro, mappings, words):
    """Before a driver is started."""
    with pytest.raises(xacro.XacroException, match=words):
        process(xacro, **mappings)


def test_controllers_move_the_joints_of_the_description():
    """Names, interfaces and what the guard's stream needs, without xacro."""
    nodes = yaml.safe_load((ROOT / 'config' / 'controllers.yaml').read_text())
    manager = nodes['/**/controller_manager']['ros__parameters']
    assert manager['update_rate'] == 1000
    model = pin.buildModelFromUrdf(str(robot_description('panda_description/urdf/panda.urdf')))
    for name in ('joint_trajectory_controller', 'forward_position_controller'):
        assert nodes[f'/**/{name}']['ros__parameters']['joints'] == ARM
        assert name in manager
    assert set(ARM) | {'panda_finger_joint1'} <= set(model.names)
    assert nodes['/**/gripper_controller']['ros__parameters']['joints'] == ['panda_finger_joint1']
    stream = nodes['/**/joint_trajectory_controller']['ros__parameters']
    assert stream['interpolate_from_desired_state']
    assert stream['allow_nonzero_velocity_at_trajectory_end']
