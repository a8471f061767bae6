"""The guard on real topics: every refusal and every watchdog."""

from __future__ import annotations

import time

import numpy as np
import pytest
from guard_graph import SLACK, GuardGraph, assert_came_to_rest, swing

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.refusals import STOPPING, Refusal
from smoothvla_ros.control.motion_guard.watchdogs import Trip
from smoothvla_ros.nodes.topics.stamps import to_stamp

State = msg.GuardState

POISON = swing()
POISON[3, 2] = np.inf
FAR = swing() + np.array([0, 0.3, 0, 0, 0, 0, 0, 0])
BEYOND = swing()
BEYOND[-1, 3] = 0.0
LONG_AGO = to_stamp(1_000_000_000)

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
    Trip.MOVED: 'test_arm_that_is_moved_at_rest_is_a_fault',
    Trip.LAG: 'test_motion_that_cannot_follow_the_policy_is_a_fault',
    Trip.OVERRUN: 'test_late_loop_is_a_fault',
    Trip.CLOCK_WENT_BACK: 'test_clock_that_jumps_back_is_a_fault',
}


def test_every_refusal_and_every_watchdog_has_its_test_here():
    """A rule that is added without one fails this."""
    assert {*BAD, *APART} == {*Refusal, *Trip}
    assert all(name in globals() for name in APART.values())


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


def test_chunk_before_arming_moves_nothing(make_guard):
    """A guard that was never armed commands nothing at all."""
    guard = make_guard()
    guard.send(swing())
    guard.until(lambda: str(Refusal.NOT_ARMED) in guard.states[-1].refusal_reasons)
    assert guard.commands_before_sentinel() == []
    assert guard.states[-1].phase == State.PHASE_DISARMED


@pytest.mark.parametrize(
    ('trip', 'change'),
    [
        (Trip.NO_JOINT_STATES, {'hears_joints': False}),
        (Trip.NO_HEARTBEAT, {'hears_heartbeat': False}),
        (Trip.TRACKING, {'offset': np.full(7, 0.3)}),
    ],
)
def test_watchdog_stops_the_arm_and_latches(make_guard, trip, change):
    """From speed to rest inside of the limits; the fault stays until it is cleared."""
    guard = make_guard().running()
    for name, value in change.items():
        setattr(guard, name, value)
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(trip)
    assert guard.states[-1].fault_latched
    guard.says(trip)
    assert not guard.call('arm').success


def test_policy_that_falls_silent_lets_the_arm_rest(make_guard):
    """No chunk for chunk_timeout_s: at rest, armed, and the reason said."""
    guard = make_guard().running()
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert guard.states[-1].reason.startswith(Trip.NO_CHUNK)
    guard.says(Trip.NO_CHUNK)


def test_arm_that_is_moved_at_rest_is_a_fault(make_guard):
    """A hand leads it, or its controller no longer holds it; nothing is commanded for that."""
    guard = make_guard().armed()
    guard.run(1.0)
    guard.offset = 0.03 * np.eye(7)[0]
    guard.until(lambda: guard.states[-1].phase == State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(Trip.MOVED)
    assert guard.commands_before_sentinel() == []
    guard.says(Trip.MOVED)


def test_motion_that_cannot_follow_the_policy_is_a_fault(make_guard):
    """Twice as fast as the arm may move: the policy believes it to be somewhere else."""
    guard = make_guard(max_lag_rad=0.05).armed()
    guard.send(swing(0.1, 20))
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(Trip.LAG)
    assert guard.states[-1].fault_latched


def test_late_loop_is_a_fault(make_guard):
    """A guard that is not run for longer than max_late_s does not go on as if nothing was."""
    guard = make_guard(max_late_s=1.0, joint_states_timeout_s=5.0).running()
    guard.node._timer.cancel()
    guard.run(1.5)
    guard.node._timer.reset()
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    assert guard.states[-1].reason.startswith(Trip.OVERRUN)
    assert guard.states[-1].late_ticks > 0
    assert 'passed on this machine since the tick before: ' in guard.states[-1].reason


def test_tick_that_takes_too_long_is_accounted_for_by_the_next(make_guard):
    """Or it would look like a clock that was set ahead: a tick late, and hardly any time passed."""
    guard = make_guard(max_late_s=1.0, joint_states_timeout_s=5.0).running()
    tick = guard.node._guard.tick

    def slow_tick(now_ns):
        guard.node._guard.tick = tick
        time.sleep(1.5)
        return tick(now_ns)

    guard.node._guard.tick = slow_tick
    assert_came_to_rest(guard, State.PHASE_FAULTED)
    reason = guard.states[-1].reason
    assert reason.startswith(Trip.OVERRUN)
    assert float(reason.partition(' s passed on this machine')[0].rpartition('(')[2]) > 1.5


def test_clock_that_jumps_back_is_a_fault(make_guard, monkeypatch):
    """No command follows: what was sent ends at rest by itself."""
    guard = make_guard().running()
    now_ns = guard.node._now_ns
    monkeypatch.setattr(guard.node, '_now_ns', lambda: now_ns() - 10**10)
    guard.until(lambda: guard.node._guard.reason.startswith(Trip.CLOCK_WENT_BACK))
    guard.run(0.05)
    guard.commands.clear()
    guard.run(1.2)
    assert guard.commands_before_sentinel() == []
    assert np.abs(guard.signal[-1][1]).max() == 0.0


@pytest.mark.parametrize('refusal', [Refusal.NOT_FINITE, Refusal.TOO_FAR_FROM_ARM])
def test_broken_chunk_stops_a_moving_arm(make_guard, refusal):
    """What the policy sent before is not trusted either."""
    assert refusal in STOPPING
    guard = make_guard().running()
    actions, changes = BAD[refusal]
    guard.send(actions, **changes)
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert str(refusal) in guard.states[-1].reason


def test_restarted_policy_stops_a_moving_arm_and_is_heard_at_rest(make_guard):
    """Another epoch is taken from rest only, wherever its chunk begins."""
    guard = make_guard(max_start_distance_rad=100.0).running()
    guard.send(swing(), epoch=2, seq=1)
    assert_came_to_rest(guard, State.PHASE_ARMED)
    assert str(Refusal.NEW_EPOCH_IN_MOTION) in guard.states[-1].reason
    guard.send(swing(start=guard.signal[-1][0]), epoch=2, seq=2)
    guard.phase(State.PHASE_RUNNING)
    assert guard.states[-1].epoch == 2
