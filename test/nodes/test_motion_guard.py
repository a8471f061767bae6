"""The guard on real topics: every refusal, every watchdog, every service."""

from __future__ import annotations

import importlib.util
import math
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from guard_graph import READY, GuardGraph, swing
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from trajectory_msgs.msg import JointTrajectory
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import STOPPING, Refusal
from smoothvla_ros.control.motion_guard.watchdogs import Trip
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.heartbeat import Heartbeat
from smoothvla_ros.nodes.motion_guard import node as motion_guard
from smoothvla_ros.nodes.motion_guard.node import MotionGuardNode
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.robot_names import PANDA_JOINTS
from smoothvla_ros.nodes.topics.stamps import to_stamp

State = msg.GuardState
# The machine that tests run on does not keep time: a late tick is not what these tests are about.
SLACK = {
    'max_late_s': 5.0,
    'max_chunk_age_s': 5.0,
    'max_observation_age_s': 5.0,
    'joint_states_timeout_s': 1.0,
    'heartbeat_timeout_s': 1.0,
    'skip_elapsed': False,
    'max_lag_rad': 100.0,
    'rate_hz': 100.0,
    'transport_s': 0.2,
    'follow_ticks': 10,
}

POISON = swing()
POISON[3, 2] = np.inf
FAR = swing() + np.array([0, 0.3, 0, 0, 0, 0, 0, 0])
BEYOND = swing()
BEYOND[-1, 3] = 0.0
CONFIG = Path(__file__).parents[2] / 'config'
LONG_AGO = to_stamp(1_000_000_000)
JERK_LIMITS = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml').limits('comfort').jerk

BAD = {
    Refusal.POLICY_REFUSED: (swing(), {'refusal': 'no image'}),
    Refusal.UNKNOWN_ACTION_SPACE: (swing(), {'action_space': 'tool_velocity'}),
    Refusal.WRONG_SHAPE: (swing(), {'dimension': 7}),
    Refusal.WRONG_PERIOD: (swing(), {'dt': 0.7}),
    Refusal.NOT_FINITE: (POISON, {}),
    Refusal.OLD_EPOCH: (swing(), {'epoch': 0}),
    Refusal.OUT_OF_ORDER: (swing(), {'seq': 0}),
    Refusal.CHUNK_TOO_OLD: (swing(), {'stamp': LONG_AGO}),
    Refusal.OBSERVATION_TOO_OLD: (swing(), {'observation_stamp': LONG_AGO}),
    Refusal.FROM_THE_FUTURE: (swing(), {'observation_stamp': to_stamp(2_000_000_000 * 10**9)}),
    Refusal.TOO_FAR_FROM_ARM: (FAR, {}),
    Refusal.UNREACHABLE: (BEYOND, {}),
}


# Which tests below are the ones of the rest.
APART = {
    Refusal.NOT_ARMED: 'test_chunk_before_arming_moves_nothing',
    Refusal.NO_HEARTBEAT: 'test_chunk_of_a_policy_without_a_heartbeat_moves_nothing',
    Refusal.DUPLICATE: 'test_same_chunk_twice_moves_once',
    Refusal.NEW_EPOCH_IN_MOTION: 'test_restarted_policy_stops_a_moving_arm_and_is_heard_at_rest',
    Trip.NO_JOINT_STATES: 'test_watchdog_stops_the_arm_and_latches',
    Trip.NO_HEARTBEAT: 'test_watchdog_stops_the_arm_and_latches',
    Trip.TRACKING: 'test_watchdog_stops_the_arm_and_latches',
    Trip.NO_CHUNK: 'test_policy_that_falls_silent_lets_the_arm_rest',
    Trip.LAG: 'test_motion_that_cannot_follow_the_policy_is_a_fault',
    Trip.OVERRUN: 'test_late_loop_is_a_fault',
    Trip.CLOCK_WENT_BACK: 'test_clock_that_jumps_back_is_a_fault',
}


def test_every_refusal_and_every_watchdog_has_its_test_here():
    """A rule that is added without one fails this."""
    assert {*BAD, *APART} == {*Refusal, *Trip}
    assert all(name in globals() for name in APART.values())


@pytest.fixture
def graph(ros):
    graphs = []

    def make(**parameters):
        graphs.append(GuardGraph(**(SLACK | parameters)))
        return graphs[-1]

    yield make
    for made in graphs:
        made.close()


@pytest.fixture(scope='module')
def standing(ros):
    """One guard that has taken a chunk and stands, armed: nothing that follows may move it."""
    # A machine that stops for a while must not fault the guard that all of them share.
    patient = SLACK | {'joint_states_timeout_s': 60.0, 'max_late_s': 60.0, 'chunk_timeout_s': 0.2}
    made = GuardGraph(**patient)
    made.armed()
    made.send(swing(0.0, 2), epoch=1, seq=1)
    made.until(lambda: made.states[-1].chunks == 1)
    made.phase(State.PHASE_ARMED)
    made.seq = 1
    made.run(0.1)
    made.commands.clear()
    yield made
    made.close()


@pytest.mark.parametrize('refusal', BAD)
def test_refused_chunk_is_named_and_no_command_follows(standing, refusal):
    """Proven by a sentinel that comes first; the reason is in GuardState and /diagnostics."""
    actions, changes = BAD[refusal]
    standing.said.clear()
    standing.send(actions, **changes)
    standing.until(lambda: str(refusal) in standing.states[-1].refusal_reasons)
    standing.run(0.05)
    assert standing.commands_before_sentinel() == []
    state = standing.states[-1]
    assert str(refusal) in state.reason
    assert state.phase == State.PHASE_ARMED
    standing.says(str(refusal))


def test_chunk_of_a_policy_without_a_heartbeat_moves_nothing(standing):
    """Whoever sends it is not the policy that was there, or it is dying."""
    standing.hears_heartbeat = False
    standing.run(1.2)
    standing.send(swing())
    standing.until(lambda: str(Refusal.NO_HEARTBEAT) in standing.states[-1].refusal_reasons)
    standing.hears_heartbeat = True
    assert standing.commands_before_sentinel() == []
    assert standing.states[-1].phase == State.PHASE_ARMED


def test_same_chunk_twice_moves_once(standing):
    """A repetition is counted and nothing else."""
    standing.send(swing(0.0, 2), epoch=1, seq=1)
    standing.until(lambda: str(Refusal.DUPLICATE) in standing.states[-1].refusal_reasons)
    assert standing.commands_before_sentinel() == []
    assert standing.states[-1].chunks == 1


def test_every_chunk_that_was_taken_is_said(graph):
    """However soon the next one comes: a recording tells by this which ones were executed."""
    guard = graph().armed()
    for count in range(1, 6):
        guard.send(swing(0.01, 16))
        guard.until(lambda count=count: guard.node._guard.chunks == count)
    guard.until(lambda: guard.states[-1].chunks == 5)
    assert {state.seq for state in guard.states if state.chunks} == set(range(1, 6))


def test_chunk_before_arming_moves_nothing(graph):
    """A guard that was never armed commands nothing at all."""
    guard = graph()
    guard.send(swing())
    guard.until(lambda: str(Refusal.NOT_ARMED) in guard.states[-1].refusal_reasons)
    assert guard.commands_before_sentinel() == []
    assert guard.states[-1].phase == State.PHASE_DISARMED


def assert_came_to_rest(guard, phase):
    """The stop is smooth, and nothing follows it."""
    guard.phase(phase)
    guard.run(0.6)
    positions = np.array(guard.signal)[:, 0]
    jerk = np.abs(np.diff(positions, n=3, axis=0)) / 1e-9
    assert np.all(jerk <= JERK_LIMITS * (1 + 1e-6))
    assert np.abs(guard.signal[-1][1]).max() == 0.0
    guard.commands.clear()
    guard.run(0.1)
    assert guard.commands_before_sentinel() == []


@pytest.mark.parametrize(
    ('trip', 'change'),
    [
        (Trip.NO_JOINT_STATES, {'hears_joints': False}),
        (Trip.NO_HEARTBEAT, {'hears_heartbeat': False}),
        (Trip.TRACKING, {'offset': np.full(7, 0.3)}),
    ],
)
def test_watchdog_stops_the_arm_and_latches(graph, trip, change):
    """From speed to rest inside of the limits; the fault stays until it is cleared."""
    guard = graph().running()
    for name, value in change.items():
        setattr(guard, name, value)
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(trip)
    assert guard.states[-1].fault_latched
    guard.says(trip)
    assert not guard.call('arm').success


def test_policy_that_falls_silent_lets_the_arm_rest(graph):
    """No chunk for chunk_timeout_s: at rest, armed, and the reason said."""
    guard = graph().running()
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert guard.states[-1].reason.startswith(Trip.NO_CHUNK)
    guard.says(Trip.NO_CHUNK)


def test_motion_that_cannot_follow_the_policy_is_a_fault(graph):
    """Twice as fast as the arm may move: the policy believes it to be somewhere else."""
    guard = graph(max_lag_rad=0.05).armed()
    guard.send(swing(0.1, 20))
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(Trip.LAG)
    assert guard.states[-1].fault_latched


def test_late_loop_is_a_fault(graph):
    """A guard that is not run for longer than max_late_s does not go on as if nothing was."""
    guard = graph(max_late_s=1.0, joint_states_timeout_s=5.0).running()
    guard.node._timer.cancel()
    guard.run(1.5)
    guard.node._timer.reset()
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(Trip.OVERRUN)
    assert guard.states[-1].late_ticks > 0


def test_clock_that_jumps_back_is_a_fault(graph, monkeypatch):
    """No command follows: what was sent ends at rest by itself."""
    guard = graph().running()
    now_ns = guard.node._now_ns
    monkeypatch.setattr(guard.node, '_now_ns', lambda: now_ns() - 10**10)
    guard.until(lambda: guard.node._guard.reason.startswith(Trip.CLOCK_WENT_BACK))
    guard.run(0.05)
    guard.commands.clear()
    guard.run(1.2)
    assert guard.commands_before_sentinel() == []
    assert np.abs(guard.signal[-1][1]).max() == 0.0


@pytest.mark.parametrize('refusal', [Refusal.NOT_FINITE, Refusal.TOO_FAR_FROM_ARM])
def test_broken_chunk_stops_a_moving_arm(graph, refusal):
    """What the policy sent before is not trusted either."""
    assert refusal in STOPPING
    guard = graph().running()
    actions, changes = BAD[refusal]
    guard.send(actions, **changes)
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert str(refusal) in guard.states[-1].reason


def test_restarted_policy_stops_a_moving_arm_and_is_heard_at_rest(graph):
    """Another epoch is taken from rest only, wherever its chunk begins."""
    guard = graph(max_start_distance_rad=100.0).running()
    guard.send(swing(), epoch=2, seq=1)
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert str(Refusal.NEW_EPOCH_IN_MOTION) in guard.states[-1].reason
    guard.send(swing(start=guard.signal[-1][0]), epoch=2, seq=2)
    guard.phase(State.PHASE_RUNNING)
    assert guard.states[-1].epoch == 2


def test_emergency_stop_latches_until_cleared(graph):
    """At speed; cleared, a policy that goes on moves nothing; armed, from where the arm is."""
    guard = graph().running()
    assert guard.call('e_stop').success
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    refused = guard.call('arm')
    assert (refused.success, refused.message) == (False, 'the guard is faulted')
    assert not guard.call('disarm').success
    guard.commands.clear()
    assert guard.call('clear_fault').success
    guard.phase(State.PHASE_DISARMED)
    guard.send(swing(start=guard.signal[-1][0]))
    guard.says(str(Refusal.NOT_ARMED))
    assert guard.commands_before_sentinel() == []
    assert guard.call('arm').success
    guard.phase(State.PHASE_ARMED)
    guard.until(lambda: guard.commands)
    np.testing.assert_allclose(
        guard.commands[-1].points[-1].positions, guard.signal[-1][0], atol=1e-6
    )


def test_emergency_stop_latches_before_the_node_is_active(graph):
    """Whoever presses it early has pressed it: nobody arms a node that becomes active later."""
    guard = graph()
    assert guard.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert guard.call('e_stop').success
    guard.phase(State.PHASE_FAULTED)
    assert guard.states[-1].fault_latched
    assert not guard.call('clear_fault').success
    assert guard.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    guard.run(0.2)
    assert guard.call('arm').message == 'the guard is faulted'
    assert guard.commands_before_sentinel() == []
    assert guard.call('clear_fault').success
    assert guard.call('arm').success
    guard.phase(State.PHASE_ARMED)


@pytest.mark.parametrize('by', ['disarm', 'deactivation'])
def test_disarming_and_deactivating_stop_first(graph, by):
    """From speed to rest inside of the limits, and disarmed; active again, nothing follows."""
    guard = graph().running()
    if by == 'disarm':
        assert guard.call('disarm').success
    else:
        assert guard.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert guard.node._guard.phase is GuardPhase.DISARMED
        assert guard.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert_came_to_rest(guard, State.PHASE_DISARMED)
    guard.send(swing())
    guard.until(lambda: str(Refusal.NOT_ARMED) in guard.states[-1].refusal_reasons)
    assert guard.commands_before_sentinel() == []


def test_armed_guard_that_is_disarmed_commands_nothing(graph):
    """Where nothing moves nothing has to be stopped."""
    guard = graph().armed()
    assert guard.call('disarm').success
    guard.phase(State.PHASE_DISARMED)
    assert guard.commands_before_sentinel() == []


def test_clock_that_stands_still_does_not_keep_the_node_from_ending(graph, monkeypatch):
    """The stop was sent, and the controller follows it."""
    guard = graph().running()
    now_ns = guard.node._now_ns()
    monkeypatch.setattr(guard.node, '_now_ns', lambda: now_ns)
    monkeypatch.setattr(motion_guard, 'STOP_TIMEOUT_S', 0.3)
    assert guard.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    guard.run(1.2)
    assert np.abs(guard.signal[-1][1]).max() == 0.0


@pytest.mark.parametrize('streams', [True, False])
def test_deactivation_by_a_simulated_clock_waits_for_no_clock(graph, monkeypatch, streams):
    """The thread that is asked is the one that hears it; in the end the arm rests, disarmed."""
    monkeypatch.setattr(motion_guard, 'STOP_TIMEOUT_S', 30.0)
    parameters = {'use_sim_time': True}
    if streams:
        # The arm of this graph does not follow streamed positions.
        parameters |= {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
        guard = graph(max_tracking_error_rad=10.0, **parameters).armed()
        guard.send(swing(0.03, 64))
        guard.until(lambda: np.ptp([position[0] for position in guard.streamed[-2:]]) > 3e-3)
    else:
        guard = graph(**parameters).running()
    began = time.monotonic()
    assert guard.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    assert time.monotonic() - began < 5.0
    assert guard.node._guard.phase is GuardPhase.STOPPING
    assert guard.node.trigger_cleanup() == TransitionCallbackReturn.FAILURE
    assert_came_to_rest(guard, State.PHASE_DISARMED)
    ticks = guard.node._guard.ticks
    guard.run(0.1)
    assert guard.node._guard.ticks == ticks
    if streams:
        speeds = np.diff(guard.streamed, axis=0)
        assert np.abs(speeds[-1]).max() < 1e-6
        assert np.all(np.abs(np.diff(speeds, n=2, axis=0)) <= JERK_LIMITS * 0.01**3 * (1 + 1e-6))
    assert guard.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    guard.until(lambda: guard.call('arm').success)


def test_gripper_is_told_when_it_changes(graph):
    """Open once at the start, closed when a chunk says so."""
    guard = graph().armed()
    closing = swing(0.0, 6)
    closing[3:, -1] = 1.0
    guard.send(closing)
    guard.until(lambda: len(guard.gripper) == 2)
    assert [list(m.points[0].positions) for m in guard.gripper] == [[0.04, 0.04], [0.0, 0.0]]


def test_auto_arm_takes_a_simulated_arm_over(graph):
    """Without a call, as soon as its joints are heard; after a fault it waits to be asked."""
    guard = graph(auto_arm=True)
    guard.phase(State.PHASE_ARMED)
    assert guard.call('e_stop').success
    assert guard.call('clear_fault').success
    guard.run(0.3)
    assert guard.node._guard.phase is GuardPhase.DISARMED
    assert guard.call('arm').success


@pytest.mark.parametrize('auto_arm', [False, True])
def test_guard_is_not_armed_where_no_controller_listens(graph, auto_arm):
    """It would only see an arm that does not follow; said by topic, and mended by whoever comes."""
    guard = graph(command_topic='elsewhere', auto_arm=auto_arm)
    guard.until(lambda: guard.states)
    answer = guard.call('arm')
    assert not answer.success
    assert answer.message.startswith(
        'nobody listens on /robot_0/elsewhere; activate the controller'
    )
    guard.run(0.2)
    assert guard.node._guard.phase is GuardPhase.DISARMED
    guard.world.create_subscription(JointTrajectory, 'elsewhere', lambda message: None, 1)
    if auto_arm:
        guard.phase(State.PHASE_ARMED)
    else:
        guard.until(lambda: guard.call('arm').success)


def test_auto_arm_does_not_follow_from_an_emergency_stop_that_is_cleared(graph):
    """Pressed before anything was armed: the reset is no restart there either."""
    guard = graph(auto_arm=True, joint_states_timeout_s=1.0)
    assert guard.call('e_stop').success
    guard.phase(State.PHASE_FAULTED)
    assert guard.call('clear_fault').success
    guard.run(0.3)
    assert guard.node._guard.phase is GuardPhase.DISARMED


def test_arm_that_moves_is_not_armed_and_the_reason_is_said(graph):
    """The velocities of joint_states, by name: the fingers' come first and may be unknown."""
    guard = graph()
    guard.velocity = [math.nan, math.nan, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0]
    heard = guard.node._guard._heard
    guard.until(lambda: heard.measured is not None and heard.measured.speed)
    assert 'a joint at 0.30 rad/s' in guard.call('arm').message
    assert guard.node._guard.phase is GuardPhase.DISARMED
    guard.velocity = [math.nan, math.nan, *([0.0] * 7)]
    guard.until(lambda: guard.call('arm').success)


def test_newest_usable_joint_state_is_heard(graph, monkeypatch):
    """One without a position for each joint that comes last does not hide the one before it."""
    guard = graph()
    guard.node._timer.cancel()
    whole = JointState(name=list(PANDA_JOINTS), position=READY.tolist())
    broken = JointState(name=list(PANDA_JOINTS), position=[0.3])
    older = JointState(name=list(PANDA_JOINTS), position=(READY + 0.1).tolist())
    now_ns = guard.now_ns()
    for message in (older, whole, broken):
        message.header.stamp = to_stamp(now_ns)
    monkeypatch.setattr(guard.node._joint_states, 'take_all', lambda: iter([older, whole, broken]))
    guard.node._listen(now_ns)
    np.testing.assert_array_equal(guard.node._guard._heard.measured.joints, READY)


def test_another_publisher_on_joint_states_does_not_blind_the_guard(graph):
    """A gripper whose messages come after each of the arm's: the arm's are heard as before."""
    guard = graph()
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


def test_positions_are_streamed_only_as_fast_as_the_controller(graph):
    """One message a tick while it runs; a slower guard does not even configure."""
    streaming = {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
    guard = graph(**streaming).armed()
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
def test_what_is_commanded_is_said_at_every_tick_to_whoever_listens(graph, controller):
    """By name, under the tick's stamp; it begins with arming, moves with the chunk, and ends."""
    streaming = {'controller': f'{controller}_controller', 'controller_rate_hz': 100.0}
    # The arm of this graph does not follow streamed positions.
    guard = graph(rate_hz=100.0, max_tracking_error_rad=1.0, **streaming)
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
    assert list(said[-1].name) == list(PANDA_JOINTS)
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


def test_request_sends_no_streamed_position_out_of_turn(graph):
    """A position more than one a period would be a jump of speed, in a stop above all."""
    streaming = {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
    guard = graph(rate_hz=100.0, **streaming).armed()
    guard.send(swing(0.03, 64))
    guard.until(lambda: len(guard.streamed) > 20)
    began, ticks = time.monotonic(), guard.node._guard.ticks
    while time.monotonic() < began + 0.5:
        guard.call('arm')
    periods = (time.monotonic() - began) * 100.0
    assert guard.node._guard.ticks - ticks <= periods + 2
    assert guard.call('e_stop').success
    guard.phase(msg.GuardState.PHASE_FAULTED)


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'robot': '(without a jerk limit)'}, 'comfort_jerk'),
        ({'robot': 'nemo'}, "'nemo' is no file"),
        ({'robot': 'fr3'}, 'names no URDF'),
        pytest.param(
            {'gripper': 'gripper_command'},
            'control_msgs',
            marks=pytest.mark.skipif(
                importlib.util.find_spec('control_msgs') is not None,
                reason='control_msgs is here, and nothing is missing',
            ),
        ),
    ],
)
def test_guard_that_cannot_work_does_not_configure(ros, tmp_path, parameters, words):
    """One line that names what is missing."""
    if parameters.get('robot') == '(without a jerk limit)':
        lines = (CONFIG / 'robots' / 'panda.yaml').read_text().splitlines()
        file = tmp_path / 'arm.yaml'
        file.write_text('\n'.join(line for line in lines if not line.startswith('comfort_jerk')))
        parameters = {'robot': str(file)}
    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = MotionGuardNode(parameter_overrides=overrides, namespace='robot_9')
    try:
        with pytest.raises(UserError, match=words):
            node.autostart()
    finally:
        node.destroy_node()


def test_heartbeat_beats_from_a_thread_of_its_own(ros):
    """While nobody spins its node, which stands for a long inference."""
    node, listener, heard = Node('beating'), Node('listening'), []
    listener.create_subscription(Header, 'robot_7/heartbeat', heard.append, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    heartbeat = Heartbeat(node, ['robot_7/heartbeat'], 0.02, 10)
    heartbeat.start()
    try:
        spin_until(executor, lambda: len(heard) > 3)
    finally:
        heartbeat.stop()
    assert not any(thread.name == 'heartbeat' for thread in threading.enumerate())
    executor.shutdown()
    node.destroy_node()
    listener.destroy_node()


@pytest.mark.parametrize('insists', [False, True])
def test_process_ends_without_a_word(insists):
    """SIGINT, once or until the end, status 0, nothing on standard error after what was logged."""
    command = [sys.executable, '-m', 'smoothvla_ros.nodes.motion_guard.node']
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.readline()
    deadline = time.monotonic() + 60.0
    process.send_signal(signal.SIGINT)
    # A terminal and a launch file both pass Ctrl-C on.
    while insists and process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60.0)
    assert 'disarmed' in said
    assert (process.returncode, rest) == (0, '')
