"""The viewer on real topics: what is said of a robot is shown of it, and no peak is lost."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.rerun_viewer.node import RerunViewer
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp

pytest.importorskip('rerun', reason='no rerun-sdk: pip install rerun-sdk')
from logged import curve, logged

NAMES = [f'panda_joint{i}' for i in range(1, 8)]
REST = [0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785]
START_NS = 1_790_000_000 * 10**9


@pytest.fixture
def viewer(ros, tmp_path):
    """The node, whose scenes write to a file, and somebody who speaks to it."""
    values = {'graph': 'real_arm', 'robots': 1, 'port': 0, 'data_port': 0}
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    node, speaker = RerunViewer(parameter_overrides=overrides), Node('speaker')
    node.autostart()
    node._view._recording.save(tmp_path / 'seen.rrd')
    yield node, speaker, tmp_path / 'seen.rrd'
    node.stop()
    for each in (node, speaker):
        each.destroy_node()


def test_arm_camera_jerk_and_episode_are_shown(viewer, monkeypatch):
    """200 Hz of joints become 20 pictures a second; of many estimates the roughest is drawn."""
    node, speaker, path = viewer
    quality = profiles('real_arm')
    joints = speaker.create_publisher(JointState, 'robot_0/joint_states', quality.joint_states)
    jerk = speaker.create_publisher(msg.JerkState, 'robot_0/jerk', quality.result)
    commanded = speaker.create_publisher(msg.JerkState, 'robot_0/commanded_jerk', quality.result)
    images = speaker.create_publisher(Image, 'robot_0/camera/wrist/image_raw', quality.image)
    states = speaker.create_publisher(msg.EpisodeState, 'robot_0/episode_state', quality.state)
    publishers = (joints, jerk, commanded, images, states)
    robot = node._robots[0]
    with spinning(speaker):
        wait_until(lambda: all(each.get_subscription_count() == 1 for each in publishers))
        running = msg.EpisodeState(phase=1, episode_id='e7', instruction='pick up the bowl')
        running.first_stamp = to_stamp(START_NS)
        states.publish(running)
        for index in range(200):
            message = JointState(name=NAMES, position=REST)
            message.header.stamp = to_stamp(START_NS + index * 5_000_000)
            joints.publish(message)
        for index in range(40):
            message = msg.JerkState(
                tool_jerk=99.0 if index == 17 else 3.0,
                level=2 if index == 17 else 0,
                joint_jerk=[100.0] * 7,
                joint_limits=[400.0] * 7,
                warning=20.0,
                alarm=50.0,
            )
            message.estimate_stamp = to_stamp(START_NS + index * 5_000_000)
            jerk.publish(message)
            commanded.publish(message)
        image = Image(height=4, width=4, step=12, encoding='rgb8', data=bytes(range(48)))
        image.header.stamp = to_stamp(START_NS)
        images.publish(image)

        peaks, show = [], robot._scene.commanded
        monkeypatch.setattr(
            robot._scene, 'commanded', lambda r: (peaks.append(r.tool_jerk), show(r))
        )

        def drawn() -> bool:
            robot.draw()
            done = robot._newest_ns == START_NS + 199 * 5_000_000
            shown = 'wrist' in robot._drawn_ns and robot._scene._level == 'ok'
            return done and shown and 99.0 in peaks

        wait_until(drawn)
    node._view._recording.flush()
    node._view._recording.disconnect()
    assert len(logged(path, 'robot_0/joints/panda_joint1', 'Transform3D:quaternion')) == 20
    assert 99.0 in curve(path, 'robot_0/jerk/tool')[:, 1]
    assert 99.0 in curve(path, 'robot_0/jerk/commanded')[:, 1]
    np.testing.assert_allclose(curve(path, 'robot_0/share_of_limit/panda_joint1')[:, 1], 25.0)
    levels = [value[0] for _, value in logged(path, 'robot_0/level', 'StateChange:state')]
    assert levels == ['ok', 'alarm', 'ok']
    assert len(logged(path, 'robot_0/camera/wrist', 'EncodedImage:blob')) == 1
    assert any(
        'e7: pick up the bowl' in v[0] for _, v in logged(path, 'robot_0/events', 'TextLog:text')
    )


def test_a_viewer_whose_server_died_ends(viewer):
    """What is sent to nobody would pile up in memory."""
    node, _, _ = viewer
    os.kill(node._view.server.process, signal.SIGKILL)
    wait_until(lambda: node._view.server.ended)
    with pytest.raises(UserError, match='rerun has ended'):
        node._draw()
