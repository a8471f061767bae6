"""The Panda for ros2_control, made by the real xacro."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pinocchio as pin
import pytest
import xacro
import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nodes.launching import xacro_description as xacro_module
from smoothvla_ros.nodes.launching.xacro_description import xacro_description
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig

ROOT = Path(__file__).parents[2]
XACRO = ROOT / 'urdf' / 'panda.urdf.xacro'
ARM = list(panda_description().joints)


def process(**mappings):
    links = str(panda_description().urdf_path)
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


def test_mock_moves_arm_and_fingers():
    """Every joint that a controller commands has its interface, in the system that follows."""
    joints, systems = interfaces(process(hardware_type='mock'))
    assert {plugin for plugin, _ in systems.values()} == {'mock_components/GenericSystem'}
    for name in (*ARM, 'panda_finger_joint1'):
        assert joints[name] == (['position'], ['position', 'velocity'])
    assert joints['panda_finger_joint2'] == ([], ['position', 'velocity'])


def test_real_arm_is_the_driver_s():
    """The driver's plugin with its address; the hand is not of ros2_control."""
    xml = process(hardware_type='real', robot_ip='10.0.0.7')
    joints, systems = interfaces(xml)
    ((plugin, parameters),) = systems.values()
    assert plugin == 'franka_hardware/FrankaHardwareInterface'
    assert parameters['robot_ip'] == '10.0.0.7'
    assert sorted(joints) == ARM


def test_real_arm_has_what_the_driver_insists_on():
    """franka_hardware's on_init: a version it knows, three command and state interfaces a joint."""
    real = {'hardware_type': 'real', 'robot_ip': '10.0.0.7'}
    for given, version in (({}, '1.0.0'), ({'hardware_version': '0.1.0'}, '0.1.0')):
        joints, systems = interfaces(process(**real, **given))
        ((_, parameters),) = systems.values()
        assert parameters['version'] == version
    for name in ARM:
        commands, states = joints[name]
        assert sorted(commands) == ['effort', 'position', 'velocity']
        assert states == ['position', 'velocity', 'effort']


def test_links_are_those_that_the_robot_file_names():
    """xacro cannot read config/robots/panda.yaml, so its file has the URDF's name once more."""
    links = panda_description().urdf.replace(':', ')/robots/')
    assert f'default="$(find {links}"' in XACRO.read_text()
    assert f'$(find {links}' == xacro_module._PANDA_LINKS


def test_links_are_those_of_the_other_package():
    """Nothing is copied and nothing changed: the tool is where the policy's kinematics have it."""
    built = pin.buildModelFromXML(process())
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
def test_wrong_arguments_are_said(mappings, words):
    """Before a driver is started."""
    with pytest.raises(xacro.XacroException, match=words):
        process(**mappings)


@pytest.mark.parametrize('links', ['', 'given'])
def test_a_copy_makes_what_the_shipped_file_makes(links, tmp_path):
    """docs/deploy.md says to copy it for another driver; pip's robot data are no ROS package."""
    copy = shutil.copy(XACRO, tmp_path / 'copy.urdf.xacro')
    links = links and shutil.copy(panda_description().urdf_path, tmp_path / 'links.urdf')
    made = interfaces(xacro_description(str(copy), 'mock', '', str(links)))
    assert made == interfaces(xacro_description(str(XACRO), 'mock', '', ''))


def test_meshes_are_where_rviz_looks():
    """RViz knows no package of a wheel: what it is given are files that are there."""
    links = ElementTree.fromstring(xacro_description(str(XACRO), 'mock', '', ''))
    meshes = {mesh.get('filename') for mesh in links.iter('mesh')}
    assert len(meshes) > 10
    for mesh in meshes:
        assert mesh.startswith('file:///')
        assert Path(unquote(urlsplit(mesh).path)).is_file()


def test_links_are_given_to_any_file_that_asks_for_them(tmp_path):
    """A robot of one's own keeps its own links unless `links` says otherwise."""
    for name in ('own', 'other'):
        (tmp_path / f'{name}.urdf').write_text(f'<robot><link name="{name}"/></robot>')
    (file := tmp_path / 'arm.urdf.xacro').write_text(
        '<robot name="arm" xmlns:xacro="http://www.ros.org/wiki/xacro">'
        f'<xacro:arg name="description" default="{tmp_path}/own.urdf"/>'
        '<xacro:include filename="$(arg description)"/></robot>'
    )
    assert '<link name="own"/>' in xacro_description(str(file), 'mock', '', '')
    other = xacro_description(str(file), 'mock', '', str(tmp_path / 'other.urdf'))
    assert '<link name="other"/>' in other


@pytest.mark.parametrize(
    ('text', 'links', 'words'),
    [
        (None, '', 'hardware_type:=real needs robot_ip, the address of the arm$'),
        (None, '/nowhere', 'No such file or directory: /nowhere'),
        ('<robot', '', 'unclosed token: line 1'),
    ],
)
def test_what_xacro_complains_of_is_one_line(text, links, words, tmp_path):
    """No traceback for an argument that was left out or a file with a slip."""
    (file := tmp_path / 'arm.urdf.xacro').write_text(XACRO.read_text() if text is None else text)
    with pytest.raises(UserError, match=words) as error:
        xacro_description(str(file), 'real', '', links)
    assert str(error.value).startswith(f'description:={file} makes no URDF: ')
    assert '\n' not in str(error.value)


def test_a_description_that_is_not_there_is_one_line(monkeypatch):
    """Also without xacro."""
    monkeypatch.setitem(sys.modules, 'xacro', SimpleNamespace())
    with pytest.raises(UserError, match='description:=/nowhere: No such file or directory; give'):
        xacro_description('/nowhere', 'mock', '', '')


def test_controllers_move_the_joints_of_the_description():
    """Names, interfaces and what the guard's stream needs, without xacro."""
    nodes = yaml.safe_load((ROOT / 'config' / 'controllers.yaml').read_text())
    manager = nodes['/**/controller_manager']['ros__parameters']
    assert manager['update_rate'] == MotionGuardConfig().controller_rate_hz
    model = pin.buildModelFromUrdf(str(panda_description().urdf_path))
    for name in ('joint_trajectory_controller', 'forward_position_controller'):
        assert nodes[f'/**/{name}']['ros__parameters']['joints'] == ARM
        assert name in manager
    assert set(ARM) | {'panda_finger_joint1'} <= set(model.names)
    assert nodes['/**/gripper_controller']['ros__parameters']['joints'] == ['panda_finger_joint1']
    stream = nodes['/**/joint_trajectory_controller']['ros__parameters']
    assert stream['interpolate_from_desired_state']
    # The guard's messages end at rest; the controller refuses what does not.
    assert 'allow_nonzero_velocity_at_trajectory_end' not in stream


def test_an_activated_controller_holds_the_arm_where_it_is_measured():
    """Not at the last command: before the first one franka_hardware has zeros there, not NaN."""
    nodes = yaml.safe_load((ROOT / 'config' / 'controllers.yaml').read_text())
    stream = nodes['/**/joint_trajectory_controller']['ros__parameters']
    assert stream['set_last_command_interface_value_as_state_on_activation'] is False
