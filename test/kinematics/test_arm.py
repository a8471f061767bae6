"""Tool pose, Jacobian, joint selection and the errors of an arm read from a URDF."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros import shipped_files
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.example_urdf import example_urdf
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.shipped_files import shipped_file

# A mast that slides, a turntable without limits, and a swinging link with a gripper finger.
URDF = """<?xml version="1.0"?>
<robot name="crane">
  <link name="world"/> <link name="mast"/> <link name="table"/> <link name="beam"/>
  <link name="hook"/> <link name="finger"/>
  <joint name="lift" type="prismatic">
    <parent link="world"/> <child link="mast"/> <origin xyz="1 2 0" rpy="0 0 1.5707963267948966"/>
    <axis xyz="0 0 1"/> <limit lower="0" upper="2" effort="1" velocity="1"/>
  </joint>
  <joint name="turn" type="continuous">
    <parent link="mast"/> <child link="table"/> <axis xyz="0 0 1"/>
  </joint>
  <joint name="swing" type="revolute">
    <parent link="table"/> <child link="beam"/> <axis xyz="0 1 0"/>
    <limit lower="-2" upper="2" effort="1" velocity="1"/>
  </joint>
  <joint name="end" type="fixed">
    <parent link="beam"/> <child link="hook"/> <origin xyz="0.5 0 0"/>
  </joint>
  <joint name="grip" type="prismatic">
    <parent link="hook"/> <child link="finger"/> <axis xyz="0 1 0"/>
    <limit lower="0" upper="0.1" effort="1" velocity="1"/>
  </joint>
</robot>
"""


@pytest.fixture(scope='module')
def urdf(tmp_path_factory):
    path = tmp_path_factory.mktemp('urdf') / 'crane.urdf'
    path.write_text(URDF)
    return path


@pytest.fixture(scope='module')
def panda():
    return Arm.panda()


PANDA_JOINTS = np.array([0.3, -0.4, 0.2, -2.1, 0.5, 1.9, 0.8])


def _numeric_jacobian(arm: Arm, joint_positions: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """Central differences of the pose; rotation through the skew part of dR R^T."""
    columns = []
    _, rotation = arm.tool_pose(joint_positions)
    for axis in np.eye(len(joint_positions)):
        ahead, ahead_rotation = arm.tool_pose(joint_positions + step * axis)
        behind, behind_rotation = arm.tool_pose(joint_positions - step * axis)
        spin = (ahead_rotation - behind_rotation) @ rotation.T / (2 * step)
        columns.append([*(ahead - behind) / (2 * step), spin[2, 1], spin[0, 2], spin[1, 0]])
    return np.array(columns).T


def test_linear_rows_are_the_velocity_of_the_tool_point_in_base_axes(panda):
    """The Jacobian is the derivative of the pose; WORLD or LOCAL frames would fail this."""
    np.testing.assert_allclose(
        panda.jacobian(PANDA_JOINTS), _numeric_jacobian(panda, PANDA_JOINTS), atol=1e-8
    )


def test_twist_is_jacobian_times_velocity(panda):
    """`tool_twist` gives m/s and rad/s of the same frame that `tool_pose` describes."""
    velocities = np.linspace(-1.0, 1.0, 7)
    step = 1e-6
    ahead, _ = panda.tool_pose(PANDA_JOINTS + step * velocities)
    behind, _ = panda.tool_pose(PANDA_JOINTS - step * velocities)
    twist = panda.tool_twist(PANDA_JOINTS, velocities)
    np.testing.assert_allclose(twist[:3], (ahead - behind) / (2 * step), atol=1e-8)
    np.testing.assert_allclose(twist, panda.jacobian(PANDA_JOINTS) @ velocities)


def test_panda_has_seven_joints_and_no_fingers(panda):
    """The order of joints is the one that every joint vector of the project has."""
    assert panda.joint_names == tuple(f'panda_joint{i}' for i in range(1, 8))


def test_any_urdf_with_sliding_and_unlimited_joints(urdf):
    """A continuous joint, which Pinocchio holds as cosine and sine, is a plain angle here."""
    arm = Arm.from_urdf(urdf, 'hook')
    assert arm.joint_names == ('lift', 'turn', 'swing')
    assert arm.sliding_joints == {'lift'}
    assert arm.turning.tolist() == [name != 'lift' for name in arm.joint_names]
    lift, turn, swing = 0.7, 4.0, 0.3
    position, _ = arm.tool_pose(np.array([lift, turn, swing]))
    reach = 0.5 * math.cos(swing)
    heading = turn + math.pi / 2
    expected = [1 + reach * math.cos(heading), 2 + reach * math.sin(heading)]
    np.testing.assert_allclose(position, [*expected, lift - 0.5 * math.sin(swing)], atol=1e-12)
    joints = np.array([lift, turn, swing])
    np.testing.assert_allclose(arm.jacobian(joints), _numeric_jacobian(arm, joints), atol=1e-8)


def test_order_of_joints_is_the_order_they_are_named_in(urdf):
    """Names select and order; a joint beside the chain (the finger) moves nothing."""
    usual = Arm.from_urdf(urdf, 'hook')
    named = Arm.from_urdf(urdf, 'hook', joint_names=['swing', 'grip', 'lift', 'turn'])
    pose = usual.tool_pose(np.array([0.7, 4.0, 0.3]))
    other = named.tool_pose(np.array([0.3, 0.05, 0.7, 4.0]))
    np.testing.assert_allclose(other[0], pose[0], atol=1e-12)
    np.testing.assert_allclose(other[1], pose[1], atol=1e-12)
    jacobian = named.jacobian(np.array([0.3, 0.05, 0.7, 4.0]))
    assert np.all(jacobian[:, 1] == 0)
    np.testing.assert_allclose(
        jacobian[:, [2, 3, 0]], usual.jacobian(np.array([0.7, 4.0, 0.3])), atol=1e-12
    )


def test_base_frame_changes_the_axes(urdf):
    """Expressed in the mast, which is turned by 90 degrees, the lift no longer counts."""
    arm = Arm.from_urdf(urdf, 'hook', tool_offset=(0, 0, 0.1), base_frame='mast')
    assert arm.joint_names == ('turn', 'swing')
    position, rotation = arm.tool_pose(np.array([0.0, 0.0]))
    np.testing.assert_allclose(position, [0.5, 0.0, 0.1], atol=1e-12)
    np.testing.assert_allclose(rotation, np.eye(3), atol=1e-12)
    joints = np.array([0.4, -0.6])
    np.testing.assert_allclose(arm.jacobian(joints), _numeric_jacobian(arm, joints), atol=1e-8)


@pytest.mark.parametrize('names', [('turn', 'swing'), ('swing', 'turn')])
def test_pose_and_jacobian_in_one_pass_know_the_base_and_the_order(urdf, names):
    """What inverse kinematics goes by is what `tool_pose` and `jacobian` say, on any mount."""
    arm = Arm.from_urdf(urdf, 'hook', (0, 0, 0.1), base_frame='mast', joint_names=names)
    joints = np.array([0.4, -0.6])
    position, rotation, jacobian = arm.pose_and_jacobian(joints)
    np.testing.assert_allclose(position, arm.tool_pose(joints)[0], atol=1e-12)
    np.testing.assert_allclose(rotation, arm.tool_pose(joints)[1], atol=1e-12)
    np.testing.assert_allclose(jacobian, arm.jacobian(joints), atol=1e-12)


def test_inertia_and_gravity_follow_the_order_of_the_joints(panda):
    """Named from the tool to the base, the same links weigh the same: in the order of the names."""
    arm = Arm.from_urdf(
        example_urdf('panda_description/urdf/panda.urdf'),
        'panda_hand',
        base_frame='panda_link0',
        joint_names=panda.joint_names[::-1],
    )
    joints = PANDA_JOINTS[::-1]
    mass, torques = panda.mass_matrix(PANDA_JOINTS), panda.gravity_torque(PANDA_JOINTS)
    np.testing.assert_allclose(arm.mass_matrix(joints), mass[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(arm.gravity_torque(joints), torques[::-1], atol=1e-12)


def test_joint_state_names_in_any_order_with_extra_joints(urdf):
    """A JointState is read by name; a missing joint is named."""
    arm = Arm.from_urdf(urdf, 'hook')
    assert list(arm.joint_indices(['grip', 'swing', 'lift', 'turn'])) == [2, 3, 1]
    with pytest.raises(UserError, match=r'joint turn .* not among lift, swing'):
        arm.joint_indices(['lift', 'swing'])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'tool_frame': 'claw'}, "no frame 'claw'.*hook"),
        ({'tool_frame': 'hook', 'base_frame': 'earth'}, "no frame 'earth'"),
        ({'tool_frame': 'hook', 'base_frame': 'finger'}, 'not carried by finger'),
        ({'tool_frame': 'hook', 'joint_names': ['lift', 'elbow']}, "no joint 'elbow'.*swing"),
        ({'tool_frame': 'hook', 'joint_names': ['lift', 'swing']}, 'turn lies between'),
        ({'tool_frame': 'hook', 'joint_names': ['lift', 'turn', 'swing', 'turn']}, 'distinct'),
    ],
)
def test_wrong_frames_and_joints_are_named(urdf, arguments, message):
    """What is unknown is named together with what there is."""
    with pytest.raises(UserError, match=message):
        Arm.from_urdf(urdf, **arguments)


def test_missing_and_broken_files_are_user_errors(tmp_path):
    """One line that names the file."""
    with pytest.raises(UserError, match=r'nowhere\.urdf does not exist'):
        Arm.from_urdf(tmp_path / 'nowhere.urdf', 'hook')
    broken = tmp_path / 'broken.urdf'
    broken.write_text('<robot name="half"><link')
    with pytest.raises(UserError, match=r'broken\.urdf cannot be read') as error:
        Arm.from_urdf(broken, 'hook')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('method', ['tool_pose', 'jacobian'])
def test_values_that_are_not_finite_are_refused(panda, method, value):
    """A NaN never becomes a pose."""
    joints = PANDA_JOINTS.copy()
    joints[3] = value
    with pytest.raises(UserError, match='not all finite'):
        getattr(panda, method)(joints)


def test_wrong_length_is_refused(panda):
    """Nine joints of a JointState with fingers are not silently cut to seven."""
    with pytest.raises(UserError, match=r'shape \(9,\).*7 joints'):
        panda.tool_pose(np.zeros(9))
    with pytest.raises(UserError, match='velocities'):
        panda.tool_twist(PANDA_JOINTS, np.zeros(6))


def test_one_arm_serves_many_threads(panda):
    """Poses and Jacobians that threads compute at once do not mix."""
    vectors = np.random.default_rng(3).uniform(-1, 1, size=(4, 7))
    expected = [(panda.tool_pose(q)[0], panda.jacobian(q)) for q in vectors]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(300):
            position = panda.tool_pose(vectors[index])[0]
            jacobian = panda.jacobian(vectors[index])
            if not (
                np.array_equal(position, expected[index][0])
                and np.array_equal(jacobian, expected[index][1])
            ):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(vectors))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_joint_origins_are_those_of_the_urdf():
    """The Panda upright: shoulder at 0.333 m, elbow 0.316 m above it and 0.0825 m out."""
    origins = Arm.panda().joint_origins(np.zeros(7))
    np.testing.assert_allclose(origins[0], [0.0, 0.0, 0.333], atol=1e-12)
    np.testing.assert_allclose(origins[1], [0.0, 0.0, 0.333], atol=1e-12)
    np.testing.assert_allclose(origins[3], [0.0825, 0.0, 0.649], atol=1e-12)


def test_the_panda_is_the_one_that_its_robot_file_describes(tmp_path, monkeypatch):
    """An edit of config/robots/panda.yaml reaches simulation and training, not the guard alone."""
    text = shipped_file('robots/panda.yaml').read_text()
    (tmp_path / 'robots').mkdir()
    longer = text.replace('0.0, 0.0, 0.0965', '0.0, 0.0, 0.1965')
    (tmp_path / 'robots' / 'panda.yaml').write_text(longer)
    before, rotation = Arm.panda().tool_pose(PANDA_JOINTS)
    monkeypatch.setattr(shipped_files, 'shipped_folders', lambda name: [tmp_path])
    panda_description.cache_clear()
    try:
        after, _ = Arm.panda().tool_pose(PANDA_JOINTS)
    finally:
        panda_description.cache_clear()
    np.testing.assert_allclose(after - before, 0.1 * rotation[:, 2], atol=1e-12)


def test_pinocchio_is_found_from_a_folder_on_pythonpath():
    """`ros2 launch` runs under the system's Python, which reads no .pth file of that folder."""
    folders = [str(Path(__file__).parents[2]), sysconfig.get_path('purelib')]
    subprocess.run(
        # Without the module `site` no .pth file is read at all.
        [sys.executable, '-S', '-c', 'from smoothvla_ros.kinematics import Arm; Arm.panda()'],
        env=os.environ | {'PYTHONPATH': os.pathsep.join(folders)},
        timeout=100.0,
        check=True,
    )
