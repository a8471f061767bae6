"""Joint states by the block: what a block of mixed messages says, and by whichever reader."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.node import Node
from sensor_msgs.msg import JointState
from waiting import wait_until

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.topics import joint_state_stream as module
from smoothvla_ros.nodes.topics.joint_state_stream import JointStateStream
from smoothvla_ros.nodes.topics.quality_of_service import DRAINED_DEPTH, Graph, profiles, with_depth
from smoothvla_ros.nodes.topics.stamps import to_stamp

JOINTS = ('a', 'b')
SENT = (
    (('a', 'b'), [1.0, 2.0], []),
    (('grip',), [9.0], []),
    (('b', 'extra', 'a'), [4.0, 0.0, 3.0], [0.4, 0.0, 0.3]),
    (('a', 'b'), [5.0], []),
    (('a', 'b'), [], []),
    (('a',), [1.0], []),
    (('a', 'b'), [5.0, 6.0], [0.5, 0.6]),
    (('a', 'b'), [float('nan'), float('nan')], []),
    (('a', 'b'), [7.0, 8.0], [0.7]),
)


def refuse(*_):
    raise UserError('another encapsulation')


@pytest.mark.parametrize('reader', ['ours', "the middleware's"])
def test_samples_come_in_order_and_what_is_wrong_is_said(ros, monkeypatch, reader):
    """Names in any order, others' joints, velocities or none, too few positions, NaN."""
    if reader != 'ours':
        monkeypatch.setattr(module, 'decoded', refuse)
    profile = with_depth(profiles(Graph.REAL_ARM).joint_states, DRAINED_DEPTH)
    node = Node('stream')
    stream = JointStateStream(node, 'joint_states', profile, JOINTS, 'joint_states')
    publisher = node.create_publisher(JointState, 'joint_states', profile)
    wait_until(publisher.get_subscription_count)
    for number, (names, position, velocity) in enumerate(SENT):
        message = JointState(name=list(names), position=position, velocity=velocity)
        message.header.stamp = to_stamp(10**18 + number)
        publisher.publish(message)
    samples, unusable = [], []

    def take():
        more, wrong = stream.take_all()
        samples.extend(more)
        unusable.extend(wrong)

    wait_until(lambda: len(samples) >= 5 and len(unusable) >= 3, turn=take)
    node.destroy_node()
    assert [sample.stamp_ns - 10**18 for sample in samples] == [0, 2, 6, 7, 8]
    positions = [[1, 2], [3, 4], [5, 6], [np.nan, np.nan], [7, 8]]
    np.testing.assert_array_equal([sample.positions for sample in samples], positions)
    velocities = [
        np.full(2, np.nan) if sample.velocities is None else sample.velocities for sample in samples
    ]
    nothing = [np.nan, np.nan]
    np.testing.assert_array_equal(velocities, [nothing, [0.3, 0.4], [0.5, 0.6], nothing, nothing])
    assert sorted(unusable) == [
        'joint_states has 0 positions for 2 names; its publisher must fill position',
        'joint_states has 1 positions for 2 names; its publisher must fill position',
        "joint_states has no joint 'b'; set the parameter robot to the file of this arm",
    ]
