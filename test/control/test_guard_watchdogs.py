"""What the guard does when the world around it goes silent, late or astray."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import pytest
from guard_world import (
    LIMITS,
    MS,
    READY,
    SECOND_NS,
    World,
    assert_inside_of_the_limits,
    assert_stops,
    osc_space,
    running,
    swing,
    swing_back,
)

from benchmarks.controller_model import ControllerModel
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import Refusal
from smoothvla_ros.control.motion_guard.watchdogs import (
    Trip,
    WatchdogInputs,
    WatchdogLimits,
    describe,
)


def stop_of(world, change, trip):
    change(world)
    world.run(0.7)
    assert world.guard.reason.startswith(trip)
    assert world.guard.fault_latched
    assert_stops(world, GuardPhase.FAULTED)


@pytest.mark.parametrize(
    ('trip', 'change'),
    [
        (Trip.NO_JOINT_STATES, lambda world: setattr(world, 'hears_joints', False)),
        (Trip.NO_HEARTBEAT, lambda world: setattr(world, 'hears_heartbeat', False)),
        (Trip.TRACKING, lambda world: setattr(world, 'offset', np.full(7, 0.2))),
    ],
)
def test_watchdog_stops_and_latches(trip, change):
    """At speed, inside of the limits."""
    stop_of(running(), change, trip)


def test_reason_says_what_was_measured_and_which_parameter_is_the_limit():
    """Who reads "the loop is too late" alone does not know by how much, nor what to change."""
    pulse = WatchdogInputs(-1.25, 0.143, 0.25, math.inf, 0.75, 0.201, 0.601)
    limits = WatchdogLimits()
    texts = {trip: describe(trip, pulse, limits) for trip in Trip}
    assert all(text.startswith(f'{trip}: ') for trip, text in texts.items())
    assert 'was 0.143 s late, max_late_s=0.05: too many programs' in texts[Trip.OVERRUN]
    assert 'none for 0.250 s, joint_states_timeout_s=0.1' in texts[Trip.NO_JOINT_STATES]
    future = describe(Trip.NO_JOINT_STATES, replace(pulse, joint_states_ahead_s=60), limits)
    assert 'the newest is stamped 60.000 s later than now (max_clock_difference_s)' in future
    assert 'none ever came, heartbeat_timeout_s=0.5' in texts[Trip.NO_HEARTBEAT]
    assert 'execute for 0.750 s, chunk_timeout_s=0.5' in texts[Trip.NO_CHUNK]
    assert '0.201 rad off, max_tracking_error_rad=0.15' in texts[Trip.TRACKING]
    moved = describe(Trip.MOVED, replace(pulse, rest_motion_rad=0.02), limits)
    assert 'a joint by 0.020 rad, max_rest_motion_rad=0.01: somebody moved it' in moved
    assert 'by 0.601 rad, max_lag_rad=0.5' in texts[Trip.LAG]
    assert 'by 1.250 s' in texts[Trip.CLOCK_WENT_BACK]


def test_silence_of_the_policy_pauses():
    """No chunk for longer than chunk_timeout_s: at rest, armed, and said so."""
    world = running()
    world.run(2.0)
    world.run(1.0)
    assert world.guard.reason.startswith(Trip.NO_CHUNK)
    assert_stops(world, GuardPhase.ARMED)


def test_frozen_stamp_counts_as_silence():
    """A driver that repeats one sample forever is not heard."""
    world = running()
    world.hears_joints = False
    frozen, joints = world.now, world.states[-1][0].copy()
    for _ in range(100):
        world.pass_ms(world.period_ms)
        world.guard.hear_joints(world.now, frozen, joints)
        world.guard.hear_heartbeat(world.now)
        world.tick()
    assert world.guard.reason.startswith(Trip.NO_JOINT_STATES)


@pytest.mark.parametrize('ahead_ms', [10, 60_000])
def test_stamp_of_the_future_that_stands_still_is_silence_too(ahead_ms):
    """Its age runs from when it was heard first, not from when the clock has caught up with it."""
    world = running()
    world.hears_joints = False
    stuck, joints = world.now + ahead_ms * MS, world.states[-1][0].copy()
    for _ in range(27):
        world.pass_ms(world.period_ms)
        world.guard.hear_joints(world.now, stuck, joints)
        world.guard.hear_heartbeat(world.now)
        world.tick()
    assert world.guard.reason.startswith(Trip.NO_JOINT_STATES)
    assert world.guard.fault_latched


def test_joints_of_the_future_are_not_heard_and_the_reason_is_said():
    """As chunks are refused: by more than max_clock_difference_s their clock is another one."""
    world = World()
    world.now += SECOND_NS
    assert not world.guard.hear_joints(world.now, world.now + 21 * MS, READY)
    refused = world.guard.arm(world.now)
    assert refused.startswith(Trip.NO_JOINT_STATES)
    assert 'stamped 0.021 s later than now (max_clock_difference_s)' in refused
    assert world.guard.hear_joints(world.now, world.now + 19 * MS, READY)
    assert world.guard.arm(world.now) == ''


def test_loop_that_is_far_too_late_is_a_fault():
    """The arm has come to rest by itself meanwhile."""
    world = running()
    world.pass_ms(500)
    world._listen()
    world.tick()
    assert world.guard.late_ticks == 1
    assert world.guard.reason.startswith(Trip.OVERRUN)
    assert_stops(world, GuardPhase.FAULTED)


@pytest.mark.parametrize('asked', ['tick', 'disarm'])
def test_tick_too_late_says_where_its_time_went(asked):
    """Whoever is asked first after it; nobody is asked before, and an empty answer adds nothing."""
    answers = ['0.5 s computed', '']
    worlds = [World(account=lambda answer=answer: answer).armed() for answer in answers]
    for world in worlds:
        world.pass_ms(500)
        world._listen()
        getattr(world.guard, asked)(world.now)
    reasons = [world.guard.reason for world in worlds]
    assert reasons[0] == reasons[1] + ' (0.5 s computed)'


def test_only_a_tick_too_late_asks_where_time_went():
    """The other reasons say themselves what was missing."""
    world = running(account=lambda: pytest.fail('asked'))
    stop_of(world, lambda world: setattr(world, 'hears_joints', False), Trip.NO_JOINT_STATES)


@pytest.mark.parametrize('streams', [True, False])
def test_clock_that_jumps_back_is_a_fault(streams):
    """No command carries a time of either clock; positions that are streamed stop smoothly."""
    world = (
        running()
        if not streams
        else World(settings=GuardSettings(rate_hz=500.0), streams_positions=True).armed()
    )
    if streams:
        world.offer(swing(0.04, 40))
        world.run(0.5)
    world.commands.clear()
    back = world.now - 10 * SECOND_NS
    streamed = []
    for tick in range(300):
        now = back + tick * world.period_ms * MS
        world.guard.hear_joints(now, now, READY)
        command = world.guard.tick(now)
        assert command.motion is None or streams
        if command.position is not None:
            streamed.append(command.position)
    assert world.guard.reason.startswith(Trip.CLOCK_WENT_BACK)
    assert world.guard.phase is GuardPhase.FAULTED
    if streams:
        assert np.abs(np.diff(streamed, axis=0)[-1]).max() < 1e-6
        assert np.abs(np.diff(streamed, n=3, axis=0)).max() <= LIMITS.jerk.max() * 0.002**3


@pytest.mark.parametrize('back_s', [0.02, 0.1, 10.0])
@pytest.mark.parametrize('asked', ['e_stop', 'disarm', 'old chunk', 'fresh chunk'])
def test_clock_that_jumps_back_before_a_request_is_the_same_fault(asked, back_s):
    """A service or a chunk that comes before the next tick plans no stop from the past."""
    world = running()
    sent = world.guard._motion
    now = world.now - round(back_s * SECOND_NS)
    if asked.endswith('chunk'):
        stamp = world.now if asked.startswith('old') else now
        chunk = world.chunk(swing(), stamp_ns=stamp, observation_stamp_ns=stamp)
        assert world.guard.offer(now, chunk) is Refusal.NOT_ARMED
    else:
        getattr(world.guard, asked)(now)
    assert world.guard.tick(now).motion is None
    assert world.guard._motion is sent
    assert world.guard.fault_latched


@pytest.mark.parametrize('ahead_s', [0.5, 60.0, 3600.0])
@pytest.mark.parametrize('streams', [True, False])
@pytest.mark.parametrize('asked', ['e_stop', 'disarm', 'chunk'])
def test_clock_that_jumps_ahead_before_a_request_is_a_loop_too_late(asked, streams, ahead_s):
    """Nothing of the time that never was is worked out; what goes to the arm ends at rest."""
    world = World(space=osc_space(), streams_positions=streams).armed()
    world.offer(np.tile([0.3, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0], (40, 1)))
    world.run(0.3)
    world.now += round(ahead_s * SECOND_NS)
    began = time.process_time()
    if asked == 'chunk':
        assert world.offer(np.zeros((8, 7))) is Refusal.NOT_ARMED
    else:
        getattr(world.guard, asked)(world.now)
    assert time.process_time() - began < 0.1
    assert world.guard.reason.startswith(Trip.OVERRUN if asked != 'e_stop' else E_STOP)
    assert world.guard.fault_latched
    commands = [world.guard.tick(world.now + tick * world.period_ms * MS) for tick in range(200)]
    assert world.guard.phase is GuardPhase.FAULTED
    streamed = [command.position for command in commands if command.position is not None]
    assert bool(streamed) is streams
    if streams:
        steps = np.diff(streamed, axis=0)
        assert np.all(np.abs(steps) <= LIMITS.velocity / world.settings.rate_hz * (1 + 1e-6))
        assert np.abs(steps[-1]).max() < 1e-9


def test_joints_and_heartbeat_heard_before_the_clock_jumped_back_are_not_fresh():
    """Silence that begins with the jump is silence, not a life as long as the jump."""
    world = running()
    world.hears_joints = world.hears_heartbeat = False
    world.now -= 10 * SECOND_NS
    world.guard.tick(world.now)
    world.now += SECOND_NS
    world.guard.tick(world.now)
    assert world.guard.phase is GuardPhase.FAULTED
    assert world.guard.clear_fault(world.now) == ''
    assert world.guard.arm(world.now) == Trip.NO_JOINT_STATES
    world.guard.hear_joints(world.now, world.now, READY)
    assert world.guard.arm(world.now) == ''
    assert world.offer(swing()) is Refusal.NO_HEARTBEAT


@pytest.mark.parametrize('asks', [False, True])
def test_an_arm_that_is_moved_at_rest_is_a_fault(asks):
    """The next command would make it jump to where it was: UR's driver restarts controllers so.

    Also where a policy goes on asking for no motion.
    """
    world = World(osc_space()).armed()
    if asks:
        still = np.zeros((40, 7))
        still[:, -1] = -1
        assert world.offer(still) is None
    world.run(1.5)
    assert world.guard.phase is (GuardPhase.RUNNING if asks else GuardPhase.ARMED)
    # Its controller was stopped, and a hand leads it.
    world.offset = 0.012 * np.eye(7)[0]
    world.run(0.3)
    assert world.guard.reason.startswith(Trip.MOVED)
    assert world.guard.fault_latched
    # The controller is started and holds the arm where it is.
    world.controller = ControllerModel(READY + world.offset)
    world.offset = np.zeros(7)
    world.cleared_and_armed()
    world.states.clear()
    world.run(1.0)
    np.testing.assert_allclose(world.states[-1][0], READY + 0.012 * np.eye(7)[0], atol=1e-6)
    assert_inside_of_the_limits(world.signal())


def test_an_arm_that_rests_beside_its_command_is_no_fault():
    """It pushes against something, or hangs a little: the controller holds it all the same."""
    world = running()
    world.offset = np.full(7, 0.02)
    world.run(4.0)
    assert world.guard.phase is GuardPhase.ARMED
    assert world.guard.tracking_error_rad() == pytest.approx(0.02)
    world.offset = np.full(7, 0.012)
    world.run(0.5)
    assert world.guard.phase is GuardPhase.ARMED
    assert world.offer(swing_back(world)) is None
    world.run(0.5)
    assert world.guard.phase is GuardPhase.RUNNING


def test_lag_beyond_its_limit_is_a_fault():
    """An arm that cannot follow is somewhere else than the policy believes."""
    world = World(watchdog_limits=WatchdogLimits(max_lag_rad=0.05)).armed()
    world.offer(swing(0.1, 10))
    stop_of(world, lambda _: None, Trip.LAG)


def test_killed_policy_brings_the_arm_to_rest_in_the_time_that_the_limits_allow():
    """No heartbeat and no chunk any more, at full speed: time-out, transport, brake; and said."""
    world = World().armed()
    assert world.offer(swing(0.06, 40)) is None
    world.run(0.9)
    speed = np.abs(world.states[-1][1]).max()
    world.hears_heartbeat = False
    elapsed_s = 0.0
    while world.moving():
        world.run(world.period_ms * 1e-3)
        elapsed_s += world.period_ms * 1e-3
    limits = world.guard._watchdog_limits
    assert speed > 0.9 * LIMITS.velocity[0]
    assert elapsed_s < limits.heartbeat_timeout_s + speed / LIMITS.acceleration[0] + 0.1
    assert world.guard.reason.startswith(Trip.NO_HEARTBEAT)
    assert_inside_of_the_limits(world.signal())
