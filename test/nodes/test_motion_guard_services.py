"""The guard on real topics: what arms it, what disarms it, and how its node begins and ends."""

from __future__ import annotations

import importlib.util
import math
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from guard_graph import JERK_LIMITS, PANDA, assert_came_to_rest, swing
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from trajectory_msgs.msg import JointTrajectory

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import Refusal
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.motion_guard import node as motion_guard
from smoothvla_ros.nodes.motion_guard.node import MotionGuardNode

State = msg.GuardState


def test_emergency_stop_latches_until_cleared(make_guard):
    """At speed; cleared, a policy that goes on moves nothing; armed, from where the arm is."""
    guard = make_guard().running()
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


def test_emergency_stop_latches_before_the_node_is_active(make_guard):
    """Whoever presses it early has pressed it: nobody arms a node that becomes active later."""
    guard = make_guard()
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
def test_disarming_and_deactivating_stop_first(make_guard, by):
    """From speed to rest inside of the limits, and disarmed; active again, nothing follows."""
    guard = make_guard().running()
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


def test_armed_guard_that_is_disarmed_commands_nothing(make_guard):
    """Where nothing moves nothing has to be stopped."""
    guard = make_guard().armed()
    assert guard.call('disarm').success
    guard.phase(State.PHASE_DISARMED)
    assert guard.commands_before_sentinel() == []


def test_clock_that_stands_still_does_not_keep_the_node_from_ending(make_guard, monkeypatch):
    """The stop was sent, the controller follows it, and a person is told to look at the arm."""
    guard = make_guard().running()
    now_ns = guard.node._now_ns()
    monkeypatch.setattr(guard.node, '_now_ns', lambda: now_ns)
    monkeypatch.setattr(motion_guard, 'STOP_TIMEOUT_S', 0.3)
    assert guard.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    guard.says('the arm did not come to rest within 0.3 s')
    guard.run(1.2)
    assert np.abs(guard.signal[-1][1]).max() == 0.0


@pytest.mark.parametrize('streams', [True, False])
def test_deactivation_by_a_simulated_clock_waits_for_no_clock(make_guard, monkeypatch, streams):
    """The thread that is asked is the one that hears it; in the end the arm rests, disarmed."""
    monkeypatch.setattr(motion_guard, 'STOP_TIMEOUT_S', 30.0)
    parameters = {'use_sim_time': True}
    if streams:
        # The arm of this graph does not follow streamed positions.
        parameters |= {'controller': 'forward_position_controller', 'controller_rate_hz': 100.0}
        guard = make_guard(max_tracking_error_rad=10.0, **parameters).armed()
        guard.send(swing(0.03, 64))
        guard.until(lambda: np.ptp([position[0] for position in guard.streamed[-2:]]) > 3e-3)
    else:
        guard = make_guard(**parameters).running()
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


def test_auto_arm_takes_a_simulated_arm_over(make_guard, capfd):
    """Without a call, as soon as its joints are heard; after a fault it waits to be asked.

    It is said first: a guard cannot know whether somebody stands beside the arm.
    """
    guard = make_guard(auto_arm=True)
    assert 'auto_arm: the arm is taken over, without a call' in capfd.readouterr().err
    guard.phase(State.PHASE_ARMED)
    assert guard.call('e_stop').success
    assert guard.call('clear_fault').success
    guard.run(0.3)
    assert guard.node._guard.phase is GuardPhase.DISARMED
    assert guard.call('arm').success


@pytest.mark.parametrize('auto_arm', [False, True])
def test_guard_is_not_armed_where_no_controller_listens(make_guard, auto_arm):
    """It would only see an arm that does not follow; said by topic, and mended by whoever comes."""
    guard = make_guard(command_topic='elsewhere', auto_arm=auto_arm)
    guard.until(lambda: guard.states)
    answer = guard.call('arm')
    assert not answer.success
    assert answer.message.startswith(
        'nobody listens on /robot_0/elsewhere; load and activate the controller'
    )
    guard.run(0.2)
    assert guard.node._guard.phase is GuardPhase.DISARMED
    guard.world.create_subscription(JointTrajectory, 'elsewhere', lambda message: None, 1)
    if auto_arm:
        guard.phase(State.PHASE_ARMED)
    else:
        guard.until(lambda: guard.call('arm').success)


def test_auto_arm_does_not_follow_from_an_emergency_stop_that_is_cleared(make_guard):
    """Pressed before anything was armed: the reset is no restart there either."""
    guard = make_guard(auto_arm=True, joint_states_timeout_s=1.0)
    assert guard.call('e_stop').success
    guard.phase(State.PHASE_FAULTED)
    assert guard.call('clear_fault').success
    guard.run(0.3)
    assert guard.node._guard.phase is GuardPhase.DISARMED


def test_arm_that_moves_is_not_armed_and_the_reason_is_said(make_guard):
    """The velocities of joint_states, by name: the fingers' come first and may be unknown."""
    guard = make_guard()
    guard.velocity = [math.nan, math.nan, 0.0, 0.0, 0.3, 0.0, 0.0, 0.0, 0.0]
    heard = guard.node._guard._heard
    guard.until(lambda: heard.measured is not None and heard.measured.speed)
    assert 'a joint at 0.30 rad/s' in guard.call('arm').message
    assert guard.node._guard.phase is GuardPhase.DISARMED
    guard.velocity = [math.nan, math.nan, *([0.0] * 7)]
    guard.until(lambda: guard.call('arm').success)


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
        lines = PANDA.read_text().splitlines()
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
