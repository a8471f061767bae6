"""What is on the topics is in the recording, byte for byte, and can be read without ROS."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import String
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.recorder import BagRecorder
from smoothvla_ros.nodes.topics.message_definitions import message_definition
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.recordings import JOINT_STATE, Bag, joint_samples
from smoothvla_ros.recordings.messages import MessageDecoder

PATIENCE_S = 60.0
SAMPLES = 50


def recorder(path) -> BagRecorder:
    overrides = [Parameter('recording', value=str(path)), Parameter('poll_period_s', value=0.05)]
    return BagRecorder(parameter_overrides=overrides)


def test_everything_that_is_said_is_recorded(ros, tmp_path):
    """A latched message from before, best-effort samples, and a message of our own."""
    speaker = Node('speaker')
    lock_step, arm = profiles('lock_step'), profiles('real_arm')
    latched = speaker.create_publisher(String, 'task', lock_step.state)
    latched.publish(String(data='put the bowl on the plate'))
    joints = speaker.create_publisher(JointState, 'joint_states', arm.joint_states)
    ours = speaker.create_publisher(msg.PolicyUpdate, 'policy_update', lock_step.state)
    ours.publish(msg.PolicyUpdate(version=3, path='/weights', sha256='ab'))
    node = recorder(tmp_path / 'bag')
    executor = SingleThreadedExecutor()
    executor.add_node(speaker)
    executor.add_node(node)
    node.autostart()
    writer = node._writer
    spin_until(executor, lambda: joints.get_subscription_count() == 1)
    for index in range(SAMPLES):
        message = JointState(name=['a', 'b'], position=[0.1 * index, -1.0])
        message.header.stamp.sec = index
        joints.publish(message)
        spin_until(executor, lambda expected=index + 1: writer.counts['/joint_states'] == expected)
    spin_until(executor, lambda: writer.counts.get('/task') == 1)
    spin_until(executor, lambda: writer.counts.get('/policy_update') == 1)
    node.stop()
    for each in (node, speaker):
        each.destroy_node()
    with Bag(tmp_path / 'bag') as bag:
        decoder = MessageDecoder(bag)
        found = {t: decoder.decode(t, c) for t, _, c in bag.messages(['/task', '/policy_update'])}
        assert found['/task'].data == 'put the bowl on the plate'
        assert found['/policy_update'].version == 3
        assert found['/policy_update'].sha256 == 'ab'
        ((samples,),) = joint_samples(bag.messages(['/joint_states']))
        np.testing.assert_array_equal(samples.stamps_ns, np.arange(SAMPLES) * 10**9)
        np.testing.assert_array_equal(samples.positions[:, 0], 0.1 * np.arange(SAMPLES))


def test_a_fast_arm_is_recorded_by_the_cheaper_executor(ros, tmp_path):
    """The other one loses a third of eight topics at 1 kHz; a topic that comes later is heard."""
    node, speaker = recorder(tmp_path / 'bag'), Node('speaker')
    node.autostart()
    counts = node._writer.counts
    assert not node.drains_topics
    executor = SingleThreadedExecutor()
    executor.add_node(speaker)
    with spinning(node, drains_topics=node.drains_topics):
        publisher = speaker.create_publisher(String, 'task', 10)
        spin_until(executor, lambda: publisher.get_subscription_count() == 1)
        publisher.publish(String(data='put the bowl on the plate'))
        spin_until(executor, lambda: counts.get('/task') == 1)
        node.stop()
    for each in (node, speaker):
        each.destroy_node()


def test_the_controller_manager_is_not_made_to_say_its_statistics(ros, tmp_path, monkeypatch):
    """It publishes them once a control period, and only because somebody listens."""
    node = recorder(tmp_path / 'bag')
    kinds = {'full': 'Statistics', 'names': 'StatisticsNames', 'values': 'StatisticsValues'}
    topics = [
        (f'/robot_0/controller_manager/{about}/{name}', [f'pal_statistics_msgs/msg/{kind}'])
        for about in ('introspection_data', 'statistics')
        for name, kind in kinds.items()
    ]
    recorded, reports = [], []
    monkeypatch.setattr(
        node, 'get_topic_names_and_types', lambda: [*topics, ('/task', ['x/msg/y'])]
    )
    monkeypatch.setattr(node, 'count_publishers', lambda topic: 1)
    monkeypatch.setattr(node, '_record', lambda writer, topic, types: recorded.append(topic))
    node.configure()
    monkeypatch.setattr(node._diagnostics, 'report', lambda *report: reports.append(report))
    node._look()
    assert recorded == ['/task']
    assert not reports
    node.stop()
    node.destroy_node()


def test_a_message_on_its_way_is_whole_when_the_recording_ends(ros, tmp_path):
    """The index must not be written in the middle of a message: it would count one too few."""
    node = recorder(tmp_path / 'bag')
    begun, goes_on, closed = threading.Event(), threading.Event(), threading.Event()

    class SlowWriter:
        path, counts = tmp_path, {}

        def write(self, topic, received_ns, content):
            begun.set()
            assert goes_on.wait(PATIENCE_S)
            assert not closed.is_set()

        def close(self):
            closed.set()

    node._writer, node._writes = SlowWriter(), True
    writes = threading.Thread(target=node._write, args=('/task', b''))
    ends = threading.Thread(target=node.stop)
    writes.start()
    assert begun.wait(PATIENCE_S)
    ends.start()
    assert not closed.wait(0.3)
    goes_on.set()
    for thread in (writes, ends):
        thread.join()
    assert closed.is_set()
    node._write('/task', b'')
    node.destroy_node()


def test_an_earlier_recording_is_never_written_over(ros, tmp_path):
    """Whoever records twice to one place is told so before anything starts."""
    (tmp_path / 'bag').mkdir()
    node = recorder(tmp_path / 'bag')
    with pytest.raises(UserError, match='exists already'):
        node.autostart()
    node.destroy_node()


@pytest.mark.parametrize('name', ['EpisodeResult', 'RolloutStep', 'EpisodeState', 'JerkState'])
def test_definitions_of_our_messages_hold_all_that_they_are_made_of(name):
    """Text from the installed .msg files, complete enough to decode without them."""
    text, digest = message_definition(f'smoothvla_ros/msg/{name}')
    assert 'MSG: std_msgs/Header' in text
    assert digest.startswith('RIHS01_')
    assert message_definition(JOINT_STATE)[0].startswith('std_msgs/Header header')


def test_a_type_that_is_not_installed_is_named():
    """One topic of an unknown package costs a line, not the recording."""
    with pytest.raises(UserError, match='package nowhere_msgs is not installed'):
        message_definition('nowhere_msgs/msg/Nothing')
