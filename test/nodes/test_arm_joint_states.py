"""Which recorded topic tells how an arm moved: the one that is named, or the only one there is."""

from __future__ import annotations

import numpy as np
import pytest
from arm_bags import JOINTS, REST, START_NS, ArmBag, Played, arm_bag

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nodes.topics.messages import to_joint_state
from smoothvla_ros.recordings import Bag
from smoothvla_ros.workflows.training.arm_joint_states import motions
from smoothvla_ros.workflows.training.arm_recordings import read_recordings

SHA256 = 'a' * 64
EPISODES = (Played('a', 'success'), Played('b', 'failure'))
DRIVER = '/robot_0/franka/joint_states'
COMMANDS = '/robot_0/motion_guard/commanded_joint_states'
FINGERS = '/robot_0/franka_gripper/joint_states'


def found(tmp_path, *topics, joint_states=None):
    """The episodes of a recording whose arm is on these topics, beside its commands and fingers."""
    joints = dict.fromkeys((*topics, COMMANDS), panda_description().joints)
    joints[FINGERS] = ['panda_finger_joint1', 'panda_finger_joint2']
    bag = arm_bag(tmp_path / 'bag', SHA256, EPISODES, joints)
    return read_recordings([bag], SHA256, Arm.panda(), joint_states)


@pytest.mark.parametrize('topic', [JOINTS, '/joint_states'])
def test_the_only_topic_with_all_joints_is_taken(tmp_path, topic):
    """Wherever the driver has it; what the guard commands is not how the arm moved."""
    assert found(tmp_path, topic).line() == '2 episodes: 1 success, 1 failure'


def test_two_topics_with_all_joints_have_to_be_chosen_from(tmp_path):
    """A relay beside the driver's own: nobody can tell them apart by their names."""
    with pytest.raises(UserError, match=rf'{DRIVER}, {JOINTS};.*--joint-states'):
        found(tmp_path, JOINTS, DRIVER)


@pytest.mark.parametrize('given', [DRIVER, 'franka/joint_states'])
def test_a_topic_is_named_in_full_or_by_its_end(tmp_path, given):
    """The relay beside it is then not read."""
    assert len(found(tmp_path, JOINTS, DRIVER, joint_states=given).rollouts) == 2


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ('joint_states', rf"'joint_states' is the end of {DRIVER}, {JOINTS}; "),
        ('/joint_states', rf"no topic '/joint_states'.*{DRIVER}, {FINGERS}, {JOINTS}"),
        ('ranka/joint_states', "no topic 'ranka/joint_states'"),
        (FINGERS, rf'{FINGERS} of --joint-states carries not all joints.*panda_joint1'),
    ],
)
def test_a_topic_that_is_not_the_arms_is_refused(tmp_path, given, message):
    """Several with this end, none of this name, half a name, one with other joints."""
    with pytest.raises(UserError, match=message):
        found(tmp_path, JOINTS, DRIVER, joint_states=given)


def test_without_the_arms_joints_the_topics_are_named(tmp_path):
    """Recorded beside the wrong arm, or read as another one than it is."""
    with pytest.raises(UserError, match=rf'carries all joints.*{FINGERS}.*--robot'):
        found(tmp_path)


@pytest.mark.parametrize('orders', [1, 2])
def test_a_joint_that_wraps_moves_on(tmp_path, orders):
    """A driver that reports within one turn, in one order of names or in two by turns."""
    turned = np.linspace(2.5, 3.9, 50)
    bag = ArmBag(SHA256)
    for sample, angle in enumerate(turned):
        positions = REST.copy()
        positions[6] = (angle + np.pi) % (2 * np.pi) - np.pi
        now_ns = START_NS + sample * 10_000_000
        order = np.roll(np.arange(7), 2 * (sample % orders))
        names = [panda_description().joints[joint] for joint in order]
        joints = to_joint_state(now_ns, names, positions[order], np.zeros(7), np.empty(0))
        bag.add(now_ns, JOINTS, joints)
    with Bag(bag.write(tmp_path / 'bag')) as written:
        ((stamps_ns, read),) = motions(written, JOINTS, [(START_NS, START_NS + 10**9)], Arm.panda())
    assert read[np.argsort(stamps_ns), 6] == pytest.approx(turned)
