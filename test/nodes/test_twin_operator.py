"""The operator over real DDS, between a guard and a twin that only remember what is asked."""

from __future__ import annotations

import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from smoothvla_ros.srv import LabelEpisode
from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import Phase
from smoothvla_ros.control.scene_operator import Wish
from smoothvla_ros.nodes.quality_of_service import SHARED_DEPTH, profiles, with_depth
from smoothvla_ros.nodes.stamps import to_stamp
from smoothvla_ros.nodes.twin_operator import SETTLE_NS, TwinOperator

BEGINS = {Wish.ARM: Phase.ARMED, Wish.DISARM: Phase.DISARMED, Wish.CLEAR_FAULT: Phase.ARMED}


class World:
    """Guard, twin and recorder of one robot, played by the test."""

    def __init__(self, **parameters):
        self.operator = TwinOperator(
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        self.node = node = Node('world', namespace='robot_0')
        quality = profiles('real_arm')
        self.guard = node.create_publisher(msg.GuardState, 'motion_guard/state', quality.status)
        self.episode = node.create_publisher(msg.EpisodeState, 'episode_state', quality.state)
        self.joints = node.create_publisher(JointState, 'joint_states', quality.joint_states)
        self.label = node.create_publisher(
            msg.EpisodeLabel, 'episode_label', with_depth(quality.state, SHARED_DEPTH)
        )
        self.asked: list[Wish] = []
        self.labelled: list[tuple[str, str]] = []
        self.refusals: list[str] = []
        self.number = 0
        for wish in Wish:
            node.create_service(Trigger, str(wish), lambda _, r, wish=wish: self._grant(wish, r))
        node.create_service(LabelEpisode, 'episodes/label', self._on_label)
        self.executor = SingleThreadedExecutor()
        for each in (node, self.operator):
            self.executor.add_node(each)
        self.operator.autostart()
        publishers = (self.guard, self.episode, self.joints, self.label)
        self.until(lambda: all(p.get_subscription_count() for p in publishers))

    def _grant(self, wish, response):
        self.asked.append(wish)
        response.success, response.message = not self.refusals, ''.join(self.refusals[:1])
        if self.refusals:
            self.refusals.pop(0)
        elif wish is Wish.NEXT_SCENE:
            self.begin()
        else:
            self.guard_is(BEGINS[wish])
        return response

    def _on_label(self, request, response):
        self.labelled.append((request.episode_id, request.outcome))
        response.success = True
        return response

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

    def guard_is(self, phase, reason=''):
        self.guard.publish(msg.GuardState(phase=int(phase), reason=reason))

    def until(self, condition, timeout_s=20.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f'waited in vain; asked so far: {self.asked}'
            self.executor.spin_once(timeout_sec=0.05)

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
    play.guard_is(Phase.DISARMED)
    play.begin()
    for number in (1, 2):
        play.until(lambda number=number: play.number == number)
        play.stand()
        play.until(lambda: play.asked[-1:] == [Wish.ARM])
        play.guard_is(Phase.RUNNING)
        play.scene(msg.EpisodeState.PHASE_FINISHED, success=number == 1)
        play.until(lambda number=number: len(play.operator.operator.verdicts) == number)
        play.until(lambda: Wish.DISARM in play.asked[-2:])
    play.until(lambda: play.operator.operator.done)
    assert play.asked == [Wish.ARM, Wish.DISARM, Wish.NEXT_SCENE, Wish.ARM, Wish.DISARM]
    assert [verdict.success for verdict in play.operator.operator.verdicts.values()] == [
        True,
        False,
    ]


def test_joints_of_the_scene_before_arm_nothing_and_a_refusal_is_asked_again(world):
    """The sentinel is the arming that follows once the arm stands in the scene."""
    play = world()
    play.guard_is(Phase.DISARMED)
    play.begin()
    play.stand(after_ns=-1)
    for _ in range(5):
        play.executor.spin_once(timeout_sec=0.05)
    play.refusals = ['the arm moves']
    play.until(lambda: play.operator._measured_ns)
    assert not play.asked
    play.stand()
    play.until(lambda: len(play.asked) == 2)
    assert play.asked == [Wish.ARM, Wish.ARM]
    assert not play.refusals


def test_recorded_episodes_are_labelled_by_their_verdict(world):
    """Success by LIBERO's verdict, a fault as nothing to learn from; a person's own is theirs."""
    play = world(scenes=3)
    play.guard_is(Phase.DISARMED)
    play.begin()
    play.stand()
    play.until(lambda: play.asked == [Wish.ARM])
    # A person disarms in the middle of the scene and arms again.
    play.guard_is(Phase.DISARMED)
    play.label.publish(msg.EpisodeLabel(episode_id='by hand'))
    play.until(lambda: play.operator._unlabelled is not None)
    play.until(lambda: play.operator._unlabelled is None)
    play.guard_is(Phase.RUNNING)
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: Wish.DISARM in play.asked)
    play.label.publish(msg.EpisodeLabel(episode_id='first'))
    play.until(lambda: play.number == 2 and play.labelled)
    play.stand()
    play.until(lambda: play.asked[-1] is Wish.ARM)
    play.guard_is(Phase.FAULTED, 'no joint states')
    play.label.publish(msg.EpisodeLabel(episode_id='second'))
    play.until(lambda: len(play.labelled) == 2)
    assert play.labelled == [('first', 'success'), ('second', 'discard')]


def test_what_is_labelled_already_is_left_alone(world):
    """Also what latched from before; the sentinel is an episode that has no label."""
    play = world()
    play.guard_is(Phase.DISARMED)
    play.begin()
    play.scene(msg.EpisodeState.PHASE_FINISHED, success=True)
    play.until(lambda: play.operator.operator.done)
    play.label.publish(msg.EpisodeLabel(episode_id='old', outcome='failure'))
    play.label.publish(msg.EpisodeLabel(episode_id='new'))
    play.until(lambda: play.labelled)
    assert play.labelled == [('new', 'success')]
