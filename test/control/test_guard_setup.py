"""What a guard is not even made for: missing limits, a controller faster than its stream."""

from __future__ import annotations

import dataclasses

import pytest
from guard_world import CONFIG, PANDA

from smoothvla_ros.control.motion_guard.timeline import FASTEST_HZ, require_streamable
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.example_urdf import example_urdf
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig, make_guard


def test_slow_guard_does_not_stream_to_a_fast_controller():
    """Held positions are steps; this is refused before anything moves."""
    with pytest.raises(UserError, match='below the controller rate'):
        require_streamable(250.0, 1000.0)
    require_streamable(500.0, 500.0)


def test_remedy_for_a_fast_controller_is_one_that_there_is():
    """Where raising the guard's rate suffices, and where not; nobody slows a Franka down."""
    with pytest.raises(UserError, match='motion; raise rate_hz to it, or use joint_trajectory_c'):
        require_streamable(250.0, 500.0)
    with pytest.raises(UserError) as refusal:
        require_streamable(500.0, 1000.0)
    assert str(refusal.value).endswith(
        'motion; use joint_trajectory_controller, for the guard streams 500 positions a second at '
        'most, and a Franka takes 1000'
    )
    (rate,) = (f for f in dataclasses.fields(MotionGuardConfig) if f.name == 'rate_hz')
    assert rate.metadata['maximum'] == FASTEST_HZ


@pytest.mark.parametrize('missing', ['comfort_jerk', 'vendor_velocity', 'position_upper'])
def test_robot_without_a_limit_is_refused(tmp_path, missing):
    """A missing limit is an error, never infinity."""
    lines = (CONFIG / 'robots' / 'panda.yaml').read_text().splitlines()
    path = tmp_path / 'arm.yaml'
    path.write_text('\n'.join(line for line in lines if not line.startswith(missing)))
    with pytest.raises(UserError, match=missing):
        RobotDescription.from_file(path)


def test_comfort_limits_never_exceed_the_vendors(tmp_path):
    """All files that are shipped hold, and a slip in one of them is found."""
    for file in (CONFIG / 'robots').glob('*.yaml'):
        RobotDescription.from_file(file)
    text = (CONFIG / 'robots' / 'panda.yaml').read_text().replace('[1500.0,', '[9000.0,')
    (tmp_path / 'arm.yaml').write_text(text)
    with pytest.raises(UserError, match='comfort_jerk'):
        RobotDescription.from_file(tmp_path / 'arm.yaml')


def test_limits_that_a_vendor_does_not_say_are_no_limits():
    """Universal Robots publishes no acceleration and no jerk: its set cannot be chosen."""
    robot = RobotDescription.from_file(CONFIG / 'robots' / 'ur5e.yaml')
    assert robot.limits('comfort').jerk.min() > 0.0
    assert robot.widest_limits == 'comfort'
    with pytest.raises(UserError, match=r'no vendor_jerk.*limits=comfort'):
        robot.limits('vendor')
    assert PANDA.widest_limits == 'vendor'


def _changed(name, joint, value):
    values = list(getattr(PANDA, name))
    values[joint] = value
    return dataclasses.replace(PANDA, **{name: tuple(values)})


@pytest.mark.parametrize(
    ('name', 'joint', 'value', 'allowed'),
    [
        ('position_lower', 3, -3.08, '-3.0718'),
        ('position_upper', 5, 215.0, '3.7525'),
        ('vendor_velocity', 0, 2.61, '2.175'),
    ],
)
@pytest.mark.parametrize('action_space', ['libero_osc_pose', 'joint_positions'])
def test_limits_beyond_those_of_the_urdf_are_refused(name, joint, value, allowed, action_space):
    """Degrees, or the joints in another order: joint, value, the URDF's and the file are named."""
    robot = _changed(name, joint, value)
    said = f'{name} of panda_joint{joint + 1} is {value:g}, beyond {allowed} in URDF .*panda.urdf'
    with pytest.raises(UserError, match=said):
        make_guard(MotionGuardConfig(action_space=action_space), robot)


def test_limits_that_are_tighter_or_rounded_fit_the_urdf():
    """The shipped Panda does; a range that is smaller and a velocity rounded up do too."""
    assert PANDA.arm().joint_names == PANDA.joints
    for name, joint, value in (
        ('position_upper', 1, 1.0),
        ('position_upper', 1, 1.763),
        ('vendor_velocity', 6, 2.618),
    ):
        assert _changed(name, joint, value).arm().joint_names == PANDA.joints


def test_a_joint_that_turns_without_end_has_no_range_to_be_held_against(tmp_path):
    """What its robot file says is all there is; a velocity of 0 in a URDF says nothing."""
    urdf = example_urdf('panda_description/urdf/panda.urdf').read_text()
    ranged = '<limit effort="87.0" lower="-2.8973" upper="2.8973" velocity="2.175"/>'
    first, second = '<joint name="panda_joint1" type="revolute">', '<joint name="panda_joint2"'
    begins, ends = urdf.index(first), urdf.index(second)
    joint = urdf[begins:ends].replace('revolute', 'continuous')
    assert ranged in joint
    joint = joint.replace(ranged, '<limit effort="87.0" velocity="0"/>')
    (tmp_path / 'arm.urdf').write_text(urdf[:begins] + joint + urdf[ends:])
    wide = dataclasses.replace(
        _changed('position_upper', 0, 100.0), urdf=str(tmp_path / 'arm.urdf')
    )
    assert wide.arm().joint_names == PANDA.joints
    with pytest.raises(UserError, match=r'panda_joint1 is 100, beyond 2\.8973'):
        dataclasses.replace(wide, urdf=PANDA.urdf).arm()
