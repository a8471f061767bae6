"""The guard on real topics: whose joint states it hears, and what it commands and says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from guard_graph import READY, swing
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.motion_guard.node import MotionGuardNode
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp


def test_every_chunk_that_was_taken_is_said(make_guard):
    """However soon the next one comes: a recording tells by this which ones were executed."""
    guard = make_guard().armed()
    for count in range(1, 6):
        guard.send(swing(0.01, 16))
        guard.until(lambda count=count: guard.node._guard.chunks == count)
    guard.until(lambda: guard.states[-1].chunks == 5)
    assert {state.seq for state in guard.states if state.chunks} == set(range(1, 6))


def test_gripper_is_told_when_it_changes(make_guard):
    """Open once at the start, closed when a chunk says so."""
    guard = make_guard().armed()
    closing = swing(0.0, 6)
    closing[3:, -1] = 1.0
    guard.send(closing)
    guard.until(lambda: len(guard.gripper) == 2)
    assert [list(m.points[0].positions) for m in guard.gripper] == [[0.04, 0.04], [0.0, 0.0]]


def test_newest_usable_joint_state_is_heard(make_guard, monkeypatch):
    """One without a position for each joint that comes last does not hide the one before it."""
    guard = make_guard()
    guard.node._timer.cancel()
    whole = JointState(name=list(panda_description().joints), position=READY.tolist())
    broken = JointState(name=list(panda_description().joints), position=[0.3])
    older = JointState(name=list(panda_description().joints), position=(READY + 0.1).tolist())
    now_ns = guard.now_ns()
    for message in (older, whole, broken):
        message.header.stamp = to_stamp(now_ns)
    monkeypatch.setattr(guard.node._joint_states, 'take_all', lambda: iter([older, whole, broken]))
    guard.node._listen(now_ns)
    np.testing.assert_array_equal(guard.node._guard._heard.measured.joints, READY)


@pytest.mark.parametrize('topic', ['franka/joint_states', '/elsewhere/joint_states'])
def test_the_joints_may_be_on_another_topic(make_guard, topic):
    """A driver of its own; what its relay goes on saying on joint_states is not heard."""
    guard = make_guard(joint_states=topic)
    assert not guard.node.count_subscribers('joint_states')
    guard.armed()
    assert guard.call('disarm').success


def test_another_publisher_on_joint_states_does_not_blind_the_guard(make_guard):
    """A gripper whose messages come after each of the arm's: the arm's are heard as before."""
    guard = make_guard()
    gripper = guard.world.create_publisher(
        JointState, 'joint_states', profiles(Graph.REAL_ARM).joint_states
    )
    guard.until(gripper.get_subscription_count)
    heard, spin_once = guard.node._guard._heard, guard.spin_once

    def spin_with_gripper():
        spin_once()
        for _ in range(5):
            message = JointState(name=['finger_joint'], position=[0.1])
            message.header.stamp = to_stamp(guard.now_ns())
            gripper.publish(message)

    guard.spin_once = spin_with_gripper
    guard.armed()
    first_ns = heard.measured.stamp_ns
    guard.run(0.5)
    assert heard.measured.stamp_ns > first_ns
    assert guard.node._guard.phase is GuardPhase.ARMED


def test_positions_are_streamed_only_as_fast_as_the_controller(make_guard):
    """One message a tick while it runs; a slower guard does not even configure."""
    streaming = {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
    guard = make_guard(**streaming).armed()
    guard.send(swing())
    guard.until(lambda: len(guard.streamed) > 20)
    np.testing.assert_allclose(guard.streamed[0], READY, atol=1e-3)
    overrides = [Parameter('controller', value='forward_position_controller')]
    node = MotionGuardNode(parameter_overrides=overrides, namespace='robot_9')
    try:
        with pytest.raises(UserError, match='below the controller rate'):
            node.autostart()
    finally:
        node.destroy_node()


@pytest.mark.parametrize('controller', ['joint_trajectory', 'forward_position'])
def test_what_is_commanded_is_said_at_every_tick_to_whoever_listens(make_guard, controller):
    """By name, under the tick's stamp; it begins with arming, moves with the chunk, and ends."""
    streaming = {'controller': f'{controller}_controller', 'controller_rate_hz': 100.0}
    # The arm of this graph does not follow streamed positions.
    guard = make_guard(rate_hz=100.0, max_tracking_error_rad=1.0, **streaming)
    said = []
    guard.world.create_subscription(
        JointState,
        'motion_guard/commanded_joint_states',
        said.append,
        profiles(Graph.REAL_ARM).joint_states,
    )
    guard.until(lambda: guard.node._commanded._publisher.get_subscription_count())
    guard.run(0.1)
    assert not said
    guard.armed()
    guard.send(swing())
    guard.until(lambda: said and np.abs(said[-1].velocity).max() > 0.1)
    guard.until(lambda: np.abs(said[-1].velocity).max() == 0.0)
    assert list(said[-1].name) == list(panda_description().joints)
    np.testing.assert_allclose(said[0].position, READY, atol=1e-3)
    steps = np.diff([to_nanoseconds(message.header.stamp) for message in said])
    assert 9e6 < np.median(steps) < 11e6
    velocities = np.diff([message.position for message in said], axis=0) / steps[:, None] * 1e9
    middle = np.array([message.velocity for message in said])[:-1]
    on_time = np.abs(steps - 1e7) < 1e6
    np.testing.assert_allclose(velocities[on_time], middle[on_time], atol=0.1)
    assert guard.call('disarm').success
    guard.phase(msg.GuardState.PHASE_DISARMED)
    guard.run(0.05)
    said.clear()
    guard.run(0.1)
    assert not said


def test_request_sends_no_streamed_position_out_of_turn(make_guard):
    """A position more than one a period would be a jump of speed, in a stop above all."""
    streaming = {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
    guard = make_guard(rate_hz=100.0, **streaming).armed()
    guard.send(swing(0.03, 64))
    guard.until(lambda: len(guard.streamed) > 20)
    began, ticks = time.monotonic(), guard.node._guard.ticks
    while time.monotonic() < began + 0.5:
        guard.call('arm')
    periods = (time.monotonic() - began) * 100.0
    assert guard.node._guard.ticks - ticks <= periods + 2
    assert guard.call('e_stop').success
    guard.phase(msg.GuardState.PHASE_FAULTED)
