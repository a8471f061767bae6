"""The monitor on real topics: the numbers of the offline metric, curves for a plot, refusals."""

from __future__ import annotations

import contextlib
import itertools
import math

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Float32
from visualization_msgs.msg import Marker, MarkerArray
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.nodes.base.diagnostics import ERROR
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.smoothness import AlarmLevel, EstimatorSettings, mean_jerk, peak_jerk, tool_jerk

REST = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
NAMES = [f'panda_joint{i}' for i in range(1, 8)]
START_NS = 1_790_000_000_000_000_000


def monitor(**values) -> JerkMonitor:
    parameters = {'graph': 'real_arm', 'robots': 1} | values
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    return JerkMonitor(parameter_overrides=overrides)


class Stage:
    """A monitor, an arm's publisher, and what the monitor says of it."""

    def __init__(self, topic='robot_0/joint_states', **values):
        quality = profiles('real_arm')
        self.speaker = Node('speaker')
        self.said, self.heard = [], []
        self.joints = self.speaker.create_publisher(JointState, topic, quality.joint_states)
        self.chunks = self.speaker.create_publisher(
            msg.ActionChunk, 'robot_0/action_chunk', quality.command
        )
        self.speaker.create_subscription(DiagnosticArray, '/diagnostics', self._on_said, 100)
        self.speaker.create_subscription(
            msg.JerkState, 'robot_0/jerk', self.heard.append, quality.result
        )
        self.node = monitor(rate_hz=100.0, silence_s=0.5, **values)
        self.node.autostart()

    def _on_said(self, message):
        self.said += [(status.level, status.message) for status in message.status]

    @contextlib.contextmanager
    def playing(self):
        """Spin both until the end of the block, once they have met."""
        try:
            with spinning(self.speaker), spinning(self.node):
                met = (self.joints, self.chunks, self.node._robots[0]._publisher)
                wait_until(lambda: all(each.get_subscription_count() for each in met))
                wait_until(lambda: self.node.count_subscribers('/diagnostics') == 1)
                yield
        finally:
            # A failure here is not to be one of every test that follows.
            for each in (self.node, self.speaker):
                each.destroy_node()

    def play(self, first, count, names=NAMES, stamp_ns=None, value=None):
        """Publish a smooth motion at 100 Hz, as fast as the queue takes it."""
        for index in range(first, first + count):
            row = REST + 0.05 * np.sin(2 * np.pi * 0.7 * index / 100 + np.arange(7))
            row = row if value is None else np.full(7, value)
            message = JointState(name=list(names), position=row[: len(names)].tolist())
            at_ns = START_NS + index * 10_000_000 if stamp_ns is None else stamp_ns
            message.header.stamp = to_stamp(at_ns)
            self.joints.publish(message)

    def says(self, words):
        """Whether a line on /diagnostics has these words."""
        return any(words in line for _, line in self.said)


@pytest.mark.parametrize(('rate_hz', 'samples'), [(100.0, 150), (1000.0, 900)])
def test_live_numbers_are_the_offline_ones(ros, rate_hz, samples):
    """Joints in another order with a finger among them; best effort, as on an arm; to 1e-6."""
    settings = EstimatorSettings(rate_hz=rate_hz)
    # The newest sample that completes a reading; those after it are not heard of yet.
    last = samples - (samples - settings.window_samples) % settings.read_stride
    quality = profiles('real_arm')
    speaker = Node('speaker')
    joints = speaker.create_publisher(JointState, 'robot_0/joint_states', quality.joint_states)
    heard, curve = [], []
    speaker.create_subscription(msg.JerkState, 'robot_0/jerk', heard.append, quality.result)
    speaker.create_subscription(Float32, 'robot_0/jerk/tool', curve.append, 10)
    node = monitor(rate_hz=rate_hz)
    node.autostart()
    with spinning(speaker), spinning(node):
        robot = node._robots[0]
        publishers = (joints, robot._publisher, robot._curves['tool'])
        wait_until(lambda: all(each.get_subscription_count() == 1 for each in publishers))
        moment = np.arange(samples) / rate_hz
        positions = REST + 0.05 * np.sin(2 * np.pi * 0.7 * moment[:, None] + np.arange(7))
        period_ns = round(1e9 / rate_hz)
        for index, row in enumerate(positions):
            message = JointState(
                name=['finger', *NAMES[::-1]], position=[0.04, *row[::-1].tolist()]
            )
            message.header.stamp = to_stamp(START_NS + index * period_ns)
            joints.publish(message)
            if index % 50 == 49:
                wait_until(lambda expected=index + 1: robot.samples == expected)
        wait_until(lambda: heard and heard[-1].samples >= last and curve)
    for each in (node, speaker):
        each.destroy_node()
    offline = tool_jerk(positions, Arm.panda().jacobian, 1 / rate_hz, settings)
    half, stride = settings.half_width, settings.read_stride
    read = offline[half:-half:stride]
    assert heard[-1].episode_mean_jerk == pytest.approx(mean_jerk(read), rel=1e-6)
    assert heard[-1].episode_peak_jerk == pytest.approx(peak_jerk(read), rel=1e-6)
    assert mean_jerk(read) == pytest.approx(mean_jerk(offline), rel=0.01)
    assert heard[-1].level == msg.JerkState.LEVEL_OK
    assert curve[-1].data > 0


def test_commands_are_measured_apart(ros):
    """A second monitor on the guard's topic, in a stream of its own, never of the measured one."""
    stage = Stage(joint_states='motion_guard/commanded_joint_states', jerk='commanded_jerk')
    commanded, curve = [], []
    stage.speaker.create_subscription(
        msg.JerkState, 'robot_0/commanded_jerk', commanded.append, profiles('real_arm').result
    )
    stage.speaker.create_subscription(Float32, 'robot_0/commanded_jerk/tool', curve.append, 10)
    quality = profiles('real_arm').joint_states
    measured, stage.joints = (
        stage.joints,
        stage.speaker.create_publisher(
            JointState, 'robot_0/motion_guard/commanded_joint_states', quality
        ),
    )
    with stage.playing():
        stage.play(0, 80)
        wait_until(lambda: commanded and curve)
        assert measured.get_subscription_count() == 0
    assert not stage.heard
    assert commanded[-1].tool_jerk > 0.1


@pytest.mark.parametrize(
    ('values', 'line'),
    [
        ({'rate_hz': 100.0, 'encoder_step': 1.5e-3}, 'below 5 times'),
        ({'robot': 'ur99'}, 'ur99'),
        ({'rate_hz': 10.0}, 'widen the window'),
        ({'robots': 0}, 'jerk_monitor node: robots=0'),
        ({'window_s': 0.0}, 'jerk_monitor node: window_s=0'),
    ],
)
def test_what_cannot_be_monitored_is_refused(ros, values, line):
    """A threshold within the noise, an unknown arm, a window without samples, no robot."""
    node = monitor(**values)
    with pytest.raises(UserError, match=line):
        node.autostart()
    node.destroy_node()


@pytest.mark.parametrize('arriving_hz', [250.0, 20.0])
def test_joint_states_at_another_rate_are_named(ros, arriving_hz):
    """A monitor that can measure nothing says so, with the rate that it was to be given."""
    quality = profiles('real_arm')
    speaker, said = Node('speaker'), []
    joints = speaker.create_publisher(JointState, 'robot_0/joint_states', quality.joint_states)
    speaker.create_subscription(DiagnosticArray, '/diagnostics', said.append, 100)
    node = monitor(rate_hz=100.0)
    node.autostart()
    with spinning(speaker), spinning(node):
        wait_until(lambda: joints.get_subscription_count() == 1)
        wait_until(lambda: node.count_subscribers('/diagnostics') == 1)
        for index in range(round(2 * arriving_hz)):
            message = JointState(name=NAMES, position=REST.tolist())
            message.header.stamp = to_stamp(START_NS + round(index * 1e9 / arriving_hz))
            joints.publish(message)
        wait_until(lambda: any('rate' in s.name for m in said for s in m.status))
    for each in (node, speaker):
        each.destroy_node()
    (status,) = {s.message for m in said for s in m.status if 'rate' in s.name}
    assert status == (
        f'no jerk is measured: joint_states come at {arriving_hz:g} Hz, but rate_hz is 100; '
        'set rate_hz to theirs'
    )


def test_robots_are_told_apart_and_a_silent_one_is_stale(ros):
    """Two at once: the picture of each has its own number, and "stale" a second after the last.

    Who looks later still is told so.
    """
    quality = profiles('real_arm')
    speaker, texts = Node('speaker'), {'robot_0': [], 'robot_1': []}
    joints, viewers = {}, []
    for name, said in texts.items():
        joints[name] = speaker.create_publisher(
            JointState, f'{name}/joint_states', quality.joint_states
        )

        def look(picture, said=said):
            said.extend(marker.text for marker in picture.markers if marker.ns == 'number')

        viewers.append(speaker.create_subscription(MarkerArray, f'{name}/jerk_markers', look, 5))
    node = monitor(robots=2, rate_hz=100.0)
    node.autostart()
    with spinning(speaker), spinning(node):
        wait_until(lambda: all(each.get_subscription_count() == 1 for each in joints.values()))
        wait_until(lambda: node.count_subscribers('robot_1/jerk_markers') == 1)
        for index in range(100):
            for name, reach in (('robot_0', 0.0), ('robot_1', 0.3)):
                sway = reach * np.sin(2 * np.pi * 2.0 * index / 100.0)
                message = JointState(name=NAMES, position=(REST + sway).tolist())
                message.header.stamp = to_stamp(START_NS + index * 10_000_000)
                joints[name].publish(message)
            wait_until(
                lambda count=index + 1: all(robot.samples == count for robot in node._robots)
            )
        wait_until(lambda: all(said and said[-1] == 'stale' for said in texts.values()))
        for viewer in viewers:
            speaker.destroy_subscription(viewer)
        wait_until(lambda: node.count_subscribers('robot_0/jerk_markers') == 0)
        late = []
        speaker.create_subscription(MarkerArray, 'robot_0/jerk_markers', late.append, 5)
        wait_until(lambda: late)
        assert [m.text for m in late[0].markers if m.ns == 'number'] == ['stale']
    for each in (node, speaker):
        each.destroy_node()
    assert any(text.endswith('OK') for text in texts['robot_0'])
    assert not any(text.endswith('ALARM') for text in texts['robot_0'])
    assert any(text.endswith('ALARM') for text in texts['robot_1'])


@pytest.mark.parametrize(
    ('played', 'words'),
    [
        (None, 'no joint_states of this arm'),
        ({'stamp_ns': 0}, 'stamps of joint_states stand still'),
        ({'value': float('nan')}, 'not finite'),
        ({'names': ['left_finger', 'right_finger']}, 'no joint_states of this arm'),
    ],
)
def test_an_arm_of_which_nothing_is_measured_is_named(ros, played, words):
    """Silence, stamps that stand still, NaN, and a topic that only a gripper speaks on."""
    stage = Stage()
    with stage.playing():

        def said() -> bool:
            if played is not None:
                stage.play(0, 1, **played)
            return stage.says(words)

        wait_until(said)
    assert not stage.heard
    assert not stage.says('set rate_hz')


def test_the_level_of_a_stream_that_ended_is_withdrawn(ros):
    """What is not heard any more is neither rough nor smooth; it comes back with the stream.

    What was drawn before the silence is taken away then.
    """
    stage, deleted = Stage(), []
    stage.speaker.create_subscription(
        MarkerArray,
        'robot_0/jerk_markers',
        lambda m: deleted.extend(each for each in m.markers if each.action == Marker.DELETEALL),
        10,
    )
    with stage.playing():
        stage.play(0, 80)
        wait_until(lambda: stage.heard and stage.heard[-1].level == msg.JerkState.LEVEL_OK)
        wait_until(lambda: stage.says('any more') and stage.says('jerk UNKNOWN'))
        assert stage.node._robots[0]._watch.level == AlarmLevel.UNKNOWN
        wait_until(lambda: stage.heard[-1].level == msg.JerkState.LEVEL_UNKNOWN)
        last = stage.heard[-1]
        assert math.isnan(last.tool_jerk)
        assert math.isnan(last.episode_mean_jerk)
        assert last.header.stamp == stage.heard[-2].header.stamp
        wait_until(lambda: stage.node.count_subscribers('robot_0/jerk_markers') == 1)
        assert not deleted
        stage.play(200, 80)
        wait_until(lambda: stage.node._robots[0]._watch.level == AlarmLevel.OK)
        wait_until(lambda: deleted)


def test_joints_of_another_on_the_topic_are_no_fault(ros):
    """A gripper's driver beside the arm's: nothing is said of it, whatever its rate."""
    stage = Stage()
    with stage.playing():
        for index in range(0, 200, 10):
            stage.play(index, 10)
            stage.play(index, 10, names=['left_finger', 'right_finger'])
        wait_until(lambda: stage.heard and stage.heard[-1].samples > 150)
    assert not stage.says('left_finger')
    assert not any(level == ERROR for level, _ in stage.said)


def test_a_seam_on_an_arm_is_where_the_chunk_comes(ros):
    """The observation that it answers is older by the time of inference."""
    stage = Stage()
    with stage.playing():
        stage.play(0, 50)
        wait_until(lambda: stage.node._robots[0].samples == 50)
        chunk = msg.ActionChunk(chunk_index=1, observation_stamp=to_stamp(START_NS + 100_000_000))
        chunk.header.stamp = to_stamp(START_NS + 700_000_000)
        stage.chunks.publish(chunk)
        seams = stage.node._robots[0]._watch.seams
        wait_until(lambda: seams._seams)
        assert list(seams._seams) == pytest.approx([0.7])


def test_joint_states_without_positions_are_named_and_do_no_harm(ros):
    """An empty position is allowed: said once, and withdrawn when good samples come again."""
    stage = Stage()
    with stage.playing():
        for index, position in enumerate(([], REST.tolist()[:5], REST.tolist())):
            message = JointState(name=NAMES, position=position)
            message.header.stamp = to_stamp(START_NS + index * 10_000_000)
            stage.joints.publish(message)
        wait_until(lambda: stage.node._robots[0].samples == 1)
        wait_until(lambda: stage.says('5 positions for 7 names'))
        good = itertools.count(3)
        wait_until(lambda: stage.play(next(good), 1) or stage.says('usable again'))
        stage.said.clear()
        wait_until(lambda: stage.said)
        assert all(level != ERROR for level, _ in stage.said)


def test_a_topic_outside_of_the_robots_namespace_is_heard(ros):
    """Most arms publish /joint_states; of several robots it would be the joints of all."""
    stage = Stage('/joint_states', joint_states='/joint_states')
    with stage.playing():
        stage.play(0, 100)
        wait_until(lambda: stage.heard)
    assert stage.heard[0].robot == 'robot_0'
    node = monitor(joint_states='/joint_states', robots=2)
    with pytest.raises(UserError, match='is the topic of one robot, but robots=2; set robots to 1'):
        node.autostart()
    node.destroy_node()
