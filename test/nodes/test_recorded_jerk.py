"""What the monitor said live is what its recording says afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.evaluation.bags.analysis import analyse
from smoothvla_ros.evaluation.bags.settings import AnalysedRobot, AnalysisSettings
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor
from smoothvla_ros.nodes.recorder import BagRecorder
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.recordings import Bag
from smoothvla_ros.recordings.messages import MessageDecoder

REST = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
NAMES = [f'panda_joint{i}' for i in range(1, 8)]
START_NS = 1_790_000_000_000_000_000
SAMPLES = 600


def test_an_episodes_jerk_is_that_of_its_recording(ros, tmp_path):
    """Mean, RMS and peak of JerkState against `smoothvla analyze` on the bag: to 1e-6, at 200 Hz.

    Stamps are 5% off the grid, as a driver's are; the recorder wrote all of it.
    """
    quality = profiles('real_arm')
    speaker = Node('speaker')
    joints = speaker.create_publisher(JointState, 'robot_0/joint_states', quality.joint_states)
    heard: list[msg.JerkState] = []
    speaker.create_subscription(msg.JerkState, 'robot_0/jerk', heard.append, quality.result)
    states = speaker.create_publisher(msg.EpisodeState, 'robot_0/episode_state', quality.state)
    values = {'graph': 'real_arm', 'robots': 1, 'rate_hz': 200.0}
    monitor = JerkMonitor(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
    overrides = [Parameter('recording', value=str(tmp_path / 'bag'))]
    recorder = BagRecorder(parameter_overrides=[*overrides, Parameter('poll_period_s', value=0.05)])
    for node in (monitor, recorder):
        node.autostart()
    rng = np.random.default_rng(0)
    seconds = (np.arange(SAMPLES) + rng.uniform(-0.05, 0.05, SAMPLES)) / 200.0
    stamps = START_NS + np.round(seconds * 1e9).astype(np.int64)
    positions = REST + 0.05 * np.sin(2 * np.pi * 0.9 * seconds[:, None] + np.arange(7))
    state = msg.EpisodeState(robot='robot_0', episode_id='e1', phase=1, samples=SAMPLES)
    state.first_stamp = to_stamp(int(stamps[0]))
    with spinning(speaker), spinning(monitor), spinning(recorder):
        wait_until(lambda: joints.get_subscription_count() == states.get_subscription_count() == 2)
        wait_until(lambda: '/robot_0/jerk' in recorder._recorded)
        wait_until(lambda: monitor._robots[0]._publisher.get_subscription_count() == 2)
        states.publish(state)
        for index, (stamp, row) in enumerate(zip(stamps.tolist(), positions, strict=True)):
            message = JointState(name=NAMES, position=row.tolist())
            message.header.stamp = to_stamp(stamp)
            joints.publish(message)
            if index % 50 == 49:
                wait_until(lambda expected=index + 1: monitor._robots[0].samples >= expected)
        state.phase, state.last_stamp = 2, to_stamp(int(stamps[-1]))
        states.publish(state)
        counts = recorder._writer.counts
        wait_until(lambda: counts['/robot_0/joint_states'] == SAMPLES)
        wait_until(lambda: any(each.episode_finished for each in heard))
        wait_until(lambda: counts['/robot_0/jerk'] >= len(heard))
    recorder.stop()
    for node in (monitor, recorder, speaker):
        node.destroy_node()
    with Bag(tmp_path / 'bag') as bag:
        decoder = MessageDecoder(bag)
        said = [decoder.decode(t, content) for t, _, content in bag.messages(['/robot_0/jerk'])]
    (final,) = [message for message in said if message.episode_finished]
    assert final.missing == 0
    robot = AnalysedRobot(load_robot_description('panda').arm())
    found = analyse(tmp_path / 'bag', AnalysisSettings(), robot).as_json()
    assert found['rate_hz'] == final.rate_hz
    offline = found['tool']['translation'], found['tool']['rotation']
    for kind, numbers in zip(('jerk', 'angular_jerk'), offline, strict=True):
        for what in ('mean', 'rms', 'peak'):
            live = getattr(final, f'episode_{what}_{kind}')
            assert live == pytest.approx(numbers[what], rel=1e-6), (what, kind)
