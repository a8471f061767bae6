"""The operator over real DDS, between a guard and a twin that only remember what is asked."""

from __future__ import annotations

import itertools

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from waiting import wait_until

from smoothvla_ros import msg
from smoothvla_ros.control.live.scene_operator import (
    HEARTBEAT_TIMEOUT_S,
    SETTLE_NS,
    OperatorRequest,
)
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.nodes import twin_operator
from smoothvla_ros.nodes.topics.quality_of_service import SHARED_DEPTH, profiles, with_depth
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.nodes.twin_operator import TwinOperator
from smoothvla_ros.srv import LabelEpisode

BEGINS = {
    OperatorRequest.ARM: GuardPhase.ARMED,
    OperatorRequest.DISARM: GuardPhase.DISARMED,
    OperatorRequest.CLEAR_FAULT: GuardPhase.DISARMED,
}


# The operator asks for nothing where a robot's name is taken twice; each world has one of its own,
# so that nothing which another test left in the network stands in its way.
NUMBERS = itertools.count()


class World:
    """Guard, twin and recorder of one robot, played by the test."""

    def __init__(self, **parameters):
        self.robot = f'operated_{next(NUMBERS)}'
        values = {'robot_name': self.robot, **parameters}
        self.operator = TwinOperator(
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
        )
        self.ends = 0
        self.operator.end = self._on_end
        self.node = node = Node('world', namespace=self.robot)
        quality = profiles('real_arm')
        self.guard = node.create_publisher(msg.GuardState, 'motion_guard/state', quality.status)
        self.episode = node.create_publisher(msg.EpisodeState, 'episode_state', quality.state)
        self.joints = node.create_publisher(JointState, 'joint_states', quality.joint_states)
        self.heartbeat = node.create_publisher(Header, 'heartbeat', quality.command)
        self.policy_lives = True
        self.label = node.create_publisher(
            msg.EpisodeLabel, 'episode_label', with_depth(quality.state, SHARED_DEPTH)
        )
        self.asked: list[OperatorRequest] = []
        self.labelled: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.label_refusals: list[str] = []
        self.diagnosed: list[str] = []
        self.said: msg.GuardState | None = None
        # Says what it is once, and not again and again.
        self.silent = False
        self.number = 0
        for wish in OperatorRequest:
            node.create_service(Trigger, str(wish), lambda _, r, wish=wish: self._grant(wish, r))
        node.create_service(LabelEpisode, 'episodes/label', self._on_label)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 100)
        self.executor = SingleThreadedExecutor()
        for each in (node, self.operator):
            self.executor.add_node(each)
        self.operator.autostart()
        publishers = (self.guard, self.episode, self.joints, self.label, self.heartbeat)
        self.until(lambda: all(p.get_subscription_count() for p in publishers))

    def _grant(self, wish, response):
        self.asked.append(wish)
        response.success, response.message = not self.refusals, ''.join(self.refusals[:1])
        if self.refusals:
            self.refusals.pop(0)
        elif wish is OperatorRequest.NEXT_SCENE:
            self.begin()
        elif not self.silent:
            self.guard_is(BEGINS[wish])
        return response

    def _on_label(self, request, response):
        self.labelled.append((request.episode_id, request.outcome))
        response.success = not self.label_refusals
        response.message = self.label_refusals.pop(0) if self.label_refusals else ''
        return response

    def _on_end(self):
        self.ends += 1

    def _on_diagnostics(self, message):
        self.diagnosed += [status.message for status in message.status]

    def begin(self):
        self.number += 1
        self.first_ns = 1_000_000_000_000 * self.number
        self.scene()

    def scene(self, phase=msg.EpisodeState.PHASE_RUNNING, *, success=False):
        message = msg.EpisodeState(attempt=self.number, phase=phase, success=success)
        message.first_stamp = to_stamp(self.first_ns)
        self.episode.publish(message)

    def stand(self, after_ns=SETTLE_NS + 1):
        message = JointState()
        message.header.stamp = to_stamp(self.first_ns + after_ns)
        self.joints.publish(message)

    def ended(self, episode_id, outcome='', after_ns=SETTLE_NS):
        message = msg.EpisodeLabel(episode_id=episode_id, outcome=outcome)
        message.first_stamp = to_stamp(self.first_ns + after_ns)
        self.label.publish(message)

    def armed(self):
        self.guard_is(GuardPhase.DISARMED)
        self.begin()
        self.stand()
        self.until(lambda: self.asked == [OperatorRequest.ARM])

    def guard_is(self, phase, reason=''):
        self.said = msg.GuardState(phase=int(phase), reason=reason)
        self.guard.publish(self.said)

    def until(self, condition, timeout_s=20.0):
        wait_until(condition, timeout_s, self.spin, lambda: f'; asked so far: {self.asked}')

    def spin(self):
        if self.said is not None and not self.silent:
            self.guard.publish(self.said)
        if self.policy_lives:
            self.heartbeat.publish(Header())
        self.executor.spin_once(timeout_sec=0.05)

    def wait(self):
        """Give the node time to do what it should not."""
        for _ in range(20):
            self.spin()

    def close(self):
        self.executor.shutdown()
        self.operator.destroy_node()
        self.node.destroy_node()


@pytest.fixture
def world(ros):
    worlds = []

    def make(**parameters):
        worlds.append(World(**parameters))
        return worlds[-1]

    yield make
    for made in worlds:
        made.close()


def test_two_scenes_from_arming_to_the_last_verdict(world):
    """Armed when the arm stands in the scene, disarmed after the verdict, reset, and again."""
    play = world(scenes=2)
    play.guard_is(GuardPhase.DISARMED)
    play.begin()
    for number in (1, 2):
        play.until(lambda number=number: play.number == number)
        play.stand()
        play.until(lambda: play.asked[-1:] == [OperatorRequest.ARM])
        play.guard_is(GuardPhase.RUNNING)
        play.scene(msg.EpisodeState.PHASE_FINISHED, success=number == 1)
        play.until(lambda: OperatorRequest.DISARM in play.asked[-2:])
    play.until(lambda: play.operator.at_rest and len(play.operator.verdicts) == 2)
    assert play.asked == [
        OperatorRequest.ARM,
        OperatorRequest.DISARM,
        OperatorRequest.NEXT_SCENE,
        OperatorRequest.ARM,
        OperatorRequest.DISARM,
    ]
    assert [verdict.success for verdict in play.operator.verdicts] == [True, False]


def test_joints_of_the_scene_before_arm_nothing_and_a_refusal_is_asked_again(world):
    """The sentinel is the arming that follows once the arm stands in the scene."""
    play = world()
    play.guard_is(GuardPhase.DISARMED)
    play.begin()
    play.stand(after_ns=-1)
    play.until(lambda: play.operator._measured_ns)
    play.wait()
    play.refusals = ['the arm moves']
    assert not play.asked
    play.stand()
    play.until(lambda: len(play.asked) == 2)
    assert play.asked == [OperatorRequest.ARM, OperatorRequest.ARM]
    assert not play.refusals


def test_without_a_policy_nothing_is_armed(world):
    """A scene's time must not run while weights are loaded; the sentinel is its heartbeat."""
    play = world()
    play.until(lambda: play.operator._heartbeat_s > 0.0)
    play.policy_lives = False
    play.operator._heartbeat_s = -HEARTBEAT_TIMEOUT_S
    play.guard_is(GuardPhase.DISARMED)
    play.begin()
    play.stand()
    play.until(lambda: play.operator._measured_ns and play.operator._guard)
    play.wait()
    assert not play.asked
    play.policy_lives = True
    play.until(lambda: play.asked == [OperatorRequest.ARM])


def test_a_second_arm_of_the_same_name_is_not_armed(world):
    """Its guard would hear the same service, and it may be a real one."""
    play = world()
    other = play.node.create_publisher(msg.GuardState, 'motion_guard/state', 10)
    play.until(lambda: play.operator.count_publishers(f'{play.robot}/motion_guard/state') == 2)
    play.guard_is(GuardPhase.DISARMED)
    play.begin()
    play.stand()
    play.until(lambda: play.operator._measured_ns and play.operator._guard)
    play.wait()
    assert not play.asked
    play.node.destroy_publisher(other)
    play.until(lambda: play.asked == [OperatorRequest.ARM])


def test_what_the_guard_said_before_its_answer_is_not_believed(world):
    """The fault that was just cleared would end the new scene; the next state is awaited."""
    play = world(scenes=2)
    play.silent = True
    play.guard_is(GuardPhase.FAULTED, 'no joint states')
    play.begin()
    play.stand()
    play.until(lambda: play.asked == [OperatorRequest.CLEAR_FAULT])
    play.wait()
    assert play.asked == [OperatorRequest.CLEAR_FAULT]
    play.guard_is(GuardPhase.DISARMED)
    play.until(lambda: play.asked[-1] is OperatorRequest.ARM)
    play.wait()
    assert play.asked == [OperatorRequest.CLEAR_FAULT, OperatorRequest.ARM]
    play.guard_is(GuardPhase.RUNNING)
    play.until(lambda: play.operator._guard is not None)
    assert not play.operator.verdicts


def test_recorded_episodes_are_labelled_by_their_verdict(world):
    """Success by LIBERO's verdict, a fault as nothing to learn from; a person's own is theirs."""
    play = world(scenes=3)
    play.armed()
    # A person disarms in the middle of the scene and arms again.
    play.until(lambda: play.operator._guard is not None)
    play.guard_is(GuardPhase.DISARMED)
    play.ended('by hand')
    play.until(lambda: play.operator._unlabelled is not None)
    play.until(lambda: play.operator._unlabelled is None)
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: OperatorRequest.DISARM in play.asked)
    play.ended('first')
    play.until(lambda: play.labelled)
    play.until(lambda: play.number == 2)
    play.ended('of the scene before', after_ns=-1)
    play.stand()
    play.until(lambda: play.asked[-1] is OperatorRequest.ARM)
    play.guard_is(GuardPhase.FAULTED, 'no joint states')
    play.ended('second')
    play.until(lambda: len(play.labelled) == 2)
    assert play.labelled == [('first', 'success'), ('second', 'discard')]


@pytest.mark.parametrize('scenes', [1, 2])
def test_a_label_that_is_refused_is_said_and_sent_again(world, scenes):
    """And stays that of the episode that was judged, whatever is played meanwhile."""
    play = world(scenes=scenes)
    play.label_refusals.append('not yet')
    play.armed()
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: OperatorRequest.DISARM in play.asked)
    play.ended('ours')
    play.until(lambda: play.labelled)
    play.ended('afterwards')
    play.until(lambda: len(play.labelled) == 2)
    assert play.labelled == [('ours', 'success')] * 2
    play.until(lambda: 'ours is labelled' in play.diagnosed)
    assert 'the label of ours is refused: not yet' in play.diagnosed
    play.until(lambda: play.number == scenes)


def play_a_scene(play):
    play.armed()
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: play.operator.at_rest and play.operator.verdicts)


def test_the_last_scene_ends_everything(world):
    """Once the arm rests; not after a scene before, and where nothing is recorded for no label."""
    play = world(scenes=2)
    play.node.destroy_publisher(play.label)
    play_a_scene(play)
    play.until(lambda: play.number == 2)
    play.stand()
    play.until(lambda: play.asked[-1] is OperatorRequest.ARM)
    play.guard_is(GuardPhase.STOPPING)
    play.scene(msg.EpisodeState.PHASE_FINISHED)
    play.until(lambda: len(play.operator.verdicts) == 2)
    play.wait()
    assert not play.ends
    play.guard_is(GuardPhase.DISARMED)
    play.until(lambda: play.ends)
    assert '1 of 2 scenes solved; all are played, the arm rests' in play.diagnosed


def test_the_end_waits_for_the_label_of_the_last_episode(world):
    """The recording would else lack it, and the episode could not be trained from."""
    play = world()
    play_a_scene(play)
    play.wait()
    assert not play.ends
    play.ended('the last')
    play.until(lambda: play.ends)
    assert play.labelled == [('the last', 'success')]


def test_the_end_waits_for_no_label_for_ever(world, monkeypatch):
    """A recorder that refuses every label is said and left behind."""
    monkeypatch.setattr(twin_operator, 'LABEL_PATIENCE_S', 1.0)
    play = world()
    play.label_refusals += ['the disk is full'] * 1000
    play_a_scene(play)
    play.ended('the last')
    play.until(lambda: play.ends)
    play.until(lambda: 'the last has no label: the disk is full' in play.diagnosed)


def test_a_graph_that_is_to_stay_does_not_end(world):
    """Whoever looks at it ends it."""
    play = world(stay=True)
    play.node.destroy_publisher(play.label)
    play_a_scene(play)
    play.until(lambda: play.operator._operator.retired)
    play.wait()
    assert not play.ends


def test_one_episode_a_scene_is_labelled_and_none_that_has_a_label(world):
    """What a person plays afterwards in the same scene is not what LIBERO judged."""
    play = world(scenes=2)
    play.armed()
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: OperatorRequest.DISARM in play.asked)
    play.ended('theirs', 'failure')
    play.ended('ours')
    play.until(lambda: play.labelled)
    play.ended('afterwards')
    play.until(lambda: play.number == 2)
    play.stand()
    play.until(lambda: play.asked[-1] is OperatorRequest.ARM)
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED)
    play.until(lambda: play.asked[-1] is OperatorRequest.DISARM)
    play.ended('the next')
    play.until(lambda: len(play.labelled) == 2)
    assert play.labelled == [('ours', 'success'), ('the next', 'failure')]


def test_the_node_can_be_configured_anew_and_shut_down_while_it_works(world):
    """Nothing of before is left: the scene that was over is not counted again."""
    play = world()
    play.armed()
    play.guard_is(GuardPhase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: play.operator.at_rest and play.operator.verdicts)
    for transition in ('deactivate', 'cleanup', 'configure', 'activate'):
        getattr(play.operator, f'trigger_{transition}')()
    assert not play.operator.verdicts
    play.until(lambda: play.number == 2)
    assert not play.operator.verdicts
    play.stand()
    play.until(lambda: play.asked[-1] is OperatorRequest.ARM)
    play.operator.trigger_shutdown()
    play.until(lambda: not play.guard.get_subscription_count() or play.operator._looks is None)
    play.wait()
