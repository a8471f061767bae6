"""Arming, and clearing a fault: how an arm is taken over, and when it is not."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import LIMITS, MS, READY, SECOND_NS, World, swing, to_joints

from benchmarks.controller_model import sampled_jerk
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.joint_positions import JointPositions
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.recent_motion import RecentMotion
from smoothvla_ros.control.motion_guard.refusals import Refusal
from smoothvla_ros.control.motion_guard.watchdogs import Trip, WatchdogLimits

RATE_HZ = 500.0
PERIOD_S = 1 / RATE_HZ
HELD = READY + np.array([0.1, -0.05, 0.02, 0.0, 0.03, -0.2, 0.15])
SLACK = 1 + 1e-6


class Streamed(World):
    """A guard that streams to an arm which stands where it is held; `sent` is what it was told."""

    def __init__(self, **arguments):
        settings = GuardSettings(rate_hz=RATE_HZ)
        super().__init__(settings=settings, streams_positions=True, **arguments)
        self.held, self.sent = READY, []

    def run_held(self, seconds):
        """Tick with the arm measured where it is held."""
        for _ in range(round(seconds * RATE_HZ)):
            self.now += self.period_ms * MS
            self.guard.hear_joints(self.now, self.now, self.held)
            if self.hears_heartbeat:
                self.guard.hear_heartbeat(self.now)
            position = self.guard.tick(self.now).position
            # A controller without interpolation holds its last command where none comes.
            self.sent.append(self.sent[-1] if position is None and self.sent else position)

    def faulted_and_held_elsewhere(self):
        assert self.guard.arm(self.now) == ''
        self.run_held(0.4)
        self.guard.e_stop(self.now)
        self.run_held(0.1)
        assert self.guard.phase is GuardPhase.FAULTED
        self.held = HELD
        self.run_held(0.3)
        return self


def assert_streamed_inside_of_the_limits(sent):
    """Differences of what a controller without interpolation was told, tick by tick."""
    sent = np.array(sent)
    assert np.all(np.abs(np.diff(sent, axis=0)) <= LIMITS.velocity * PERIOD_S * SLACK)
    accelerations = np.diff(sent, n=2, axis=0) / PERIOD_S**2
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration * SLACK)
    assert np.all(np.abs(sampled_jerk(sent, PERIOD_S)) <= LIMITS.jerk * SLACK)


def test_a_streamed_arm_is_led_from_its_last_command_to_where_it_is_held():
    """It was a step of 0.2 rad in one tick: nothing else than the stream moves such a command."""
    world = Streamed().faulted_and_held_elsewhere()
    assert np.array_equal(world.sent[-1], READY)
    world.cleared_and_armed()
    world.run_held(2.0)
    assert world.guard.phase is GuardPhase.ARMED
    assert np.array_equal(world.sent[-1], HELD)
    actions = to_joints(*(HELD + 0.005 * step for step in range(1, 9)))
    assert world.guard.offer(world.now, world.chunk(actions)) is None
    world.guard.hear_joints(world.now, world.now, HELD)
    for _ in range(30):
        world.run_held(PERIOD_S)
        world.held = world.sent[-1]
    assert not np.array_equal(world.sent[-1], HELD)
    assert_streamed_inside_of_the_limits(world.sent)


@pytest.mark.parametrize('asked', ['e_stop', 'disarm'])
def test_a_stop_on_the_way_to_where_a_streamed_arm_is_held_ends_that_way(asked):
    """Smoothly and before its end; until it has, nothing begins another way from elsewhere."""
    world = Streamed().faulted_and_held_elsewhere()
    world.cleared_and_armed()
    world.run_held(0.15)
    assert getattr(world.guard, asked)(world.now) == ''
    if asked == 'e_stop':
        assert world.guard.clear_fault(world.now) == ''
    assert 'still being taken over' in world.guard.arm(world.now)
    world.run_held(1.0)
    assert np.array_equal(world.sent[-1], world.sent[-100])
    assert np.abs(world.sent[-1] - HELD).max() > 0.05
    assert_streamed_inside_of_the_limits(world.sent)
    assert world.guard.arm(world.now) == ''
    world.run_held(2.0)
    assert np.array_equal(world.sent[-1], HELD)
    assert_streamed_inside_of_the_limits(world.sent)


@pytest.mark.parametrize('joint', range(7))
def test_a_guard_that_was_restarted_leads_the_controller_to_the_arm_inside_of_the_limits(joint):
    """At full speed into an obstacle: the guard that knew where the controller was left is gone."""
    world = World().armed()
    blocked = READY[joint] + 0.6

    def listen():
        joints = world.controller.update(world.now)[0].copy()
        joints[joint] = min(joints[joint], blocked)
        world.guard.hear_joints(world.now, world.now, joints)
        world.guard.hear_heartbeat(world.now)

    world._listen = listen
    assert world.offer(swing(0.05 * LIMITS.velocity[joint], 20, joint)) is None
    world.run(2.0)
    assert world.guard.reason.startswith(Trip.TRACKING)
    world.guard = MotionGuard(world.settings, LIMITS, JointPositions(LIMITS))
    listen()
    assert world.guard.arm(world.now) == ''
    world.states.clear()
    world.run(2.0)
    positions, velocities, accelerations = world.signal()
    assert np.ptp(positions[:, joint]) > 0.2
    assert positions[-1, joint] == pytest.approx(blocked)
    assert np.all(np.abs(velocities) <= LIMITS.velocity)
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration)
    assert np.all(np.abs(sampled_jerk(positions, 1e-3)) <= LIMITS.jerk)


def test_how_far_a_controller_may_have_been_left_ends_with_the_range():
    """A tracking error that is allowed to be large does not make arming last for ever."""
    world = World(watchdog_limits=WatchdogLimits(max_tracking_error_rad=100.0))
    assert world.guard.arm(world.now) == ''
    widest_s = 15 / 8 * (LIMITS.upper - LIMITS.lower) / LIMITS.velocity
    assert world.guard._takeover_ends * world.guard._time.period_s < 1.1 * widest_s.max()


def test_an_arm_that_moves_is_not_taken_over():
    """At rest it is; a driver that knows no velocity, NaN or nothing, is not held against it."""
    world, velocities = World(), np.zeros(7)
    velocities[4] = -0.06
    world.guard.hear_joints(world.now, world.now, READY, velocities)
    refused = world.guard.arm(world.now)
    assert 'a joint at 0.06 rad/s' in refused
    assert 'max_arming_speed_rad_s=0.05' in refused
    assert world.guard.phase is GuardPhase.DISARMED
    for known in (np.where(velocities < 0, 0.04, 0.0), np.full(7, np.nan), np.zeros(3), None):
        other = World()
        other.guard.hear_joints(other.now, other.now, READY, known)
        assert other.guard.arm(other.now) == ''


ENCODER_STEP = 2 * np.pi / 4096


def hear(world, rows, period_ms, known=None, back_every=0):
    """Let the arm be heard at each of these positions; every so often with a stamp of before."""
    for index, row in enumerate(rows):
        world.now += period_ms * MS
        late = 3 * period_ms * MS if back_every and index % back_every == 0 else 0
        world.guard.hear_joints(world.now, world.now - late, row, known)


@pytest.mark.parametrize('period_ms', [1, 4, 20, 50])
@pytest.mark.parametrize('known', [None, np.full(7, np.nan), np.zeros(7)])
@pytest.mark.parametrize('back_every', [0, 3])
def test_an_arm_that_says_no_velocity_and_moves_is_not_taken_over(known, period_ms, back_every):
    """Its positions tell, at any rate, also where a driver always says zero, or stamps astray."""
    world, count = World(), 400 // period_ms
    drift = 1e-4 * period_ms * np.arange(count)[:, None] * np.ones(7)
    hear(world, READY + drift, period_ms, known, back_every)
    assert 'the arm moves, a joint at 0.1' in world.guard.arm(world.now)
    hear(world, [READY + drift[-1]] * count, period_ms, known)
    assert world.guard.arm(world.now) == ''


@pytest.mark.parametrize('period_ms', [1, 4, 20, 50])
def test_a_coarse_encoder_at_rest_is_no_motion(period_ms):
    """Of 4096 steps a turn, at the edge between two; nor is where the arm was a second ago."""
    generator, count = np.random.default_rng(0), 400 // period_ms
    for _ in range(50):
        world = World()
        hear(world, READY + ENCODER_STEP * generator.integers(0, 2, (count, 7)), period_ms)
        assert world.guard.arm(world.now) == ''
    world = World()
    world.guard.hear_joints(world.now, world.now, READY + 0.3)
    world.now += SECOND_NS
    world.guard.hear_joints(world.now, world.now, READY)
    assert world.guard.arm(world.now) == ''


@pytest.mark.parametrize('step_ns', [0, 1, 1_000_000])
def test_what_is_kept_of_positions_does_not_grow(step_ns):
    """Also of a driver whose stamps stand still."""
    recent = RecentMotion()
    for index in range(2000):
        recent.add(index * step_ns, READY)
    assert len(recent._kept) < 30


def test_after_a_fault_an_arm_that_moves_is_not_taken_over():
    """Somebody pushes it, or it sinks: it would be taken over where it was a moment ago."""
    world = World().armed()
    world.guard.e_stop(world.now)
    world.run(0.1)
    moving = np.full(7, np.nan)
    moving[1] = 0.5
    world.guard.hear_joints(world.now, world.now, READY, moving)
    assert world.guard.clear_fault(world.now) == ''
    assert 'the arm moves' in world.guard.arm(world.now)
    assert world.guard.phase is GuardPhase.DISARMED
    world.guard.hear_joints(world.now, world.now, READY, np.zeros(7))
    assert world.guard.arm(world.now) == ''


def test_arming_anew_lets_a_policy_in_whose_epoch_lies_before():
    """One chunk from far ahead locked out every later policy; within one arming it still does."""
    world = World().armed()
    assert world.offer(swing(), epoch=2**62) is None
    world.run(1.0)
    assert world.offer(swing(), epoch=7) is Refusal.OLD_EPOCH
    assert world.guard.disarm(world.now) == ''
    world.run(0.5)
    assert world.guard.phase is GuardPhase.DISARMED
    assert world.guard.arm(world.now) == ''
    world.run(0.3)
    here = world.states[-1][0]
    assert world.offer(to_joints(*(here for _ in range(4))), epoch=7) is None
    assert world.guard.epoch == 7


@pytest.mark.parametrize('by', ['e_stop', 'disarm', 'no heartbeat', 'clock back'])
def test_a_chunk_that_waits_for_the_take_over_does_not_make_it_unstoppable(by):
    """The phase is RUNNING then, but what moves is still the way to where the arm is held."""
    limits = WatchdogLimits(heartbeat_timeout_s=0.05)
    world = Streamed(watchdog_limits=limits).faulted_and_held_elsewhere()
    world.cleared_and_armed()
    world.run_held(0.1)
    assert world.guard.offer(world.now, world.chunk(to_joints(*[HELD] * 8))) is None
    assert world.guard.phase is GuardPhase.RUNNING
    world.run_held(0.02)
    if by == 'no heartbeat':
        world.hears_heartbeat = False
    elif by == 'clock back':
        world.now -= 1000 * MS
    else:
        assert getattr(world.guard, by)(world.now) == ''
    world.run_held(1.0)
    assert world.guard.phase is (GuardPhase.DISARMED if by == 'disarm' else GuardPhase.FAULTED)
    assert np.abs(world.sent[-1] - HELD).max() > 0.02
    assert_streamed_inside_of_the_limits(world.sent)


def test_a_chunk_that_the_take_over_would_let_grow_old_is_refused():
    """It would begin where the take-over ends, on what was seen before it."""
    world = Streamed().faulted_and_held_elsewhere()
    world.held = READY.copy()
    world.held[0] += 2.0
    world.run_held(0.3)
    world.cleared_and_armed()
    chunk = world.chunk(to_joints(*[world.held] * 8))
    assert world.guard.offer(world.now, chunk) is Refusal.OBSERVATION_TOO_OLD
    assert world.guard.phase is GuardPhase.ARMED
    world.run_held(5.0)
    assert world.guard.offer(world.now, world.chunk(to_joints(*[world.held] * 8))) is None


def test_a_guard_is_at_rest_when_the_way_of_the_take_over_is_over():
    """The node sends for as long as it is not: a stream that ends on the way is a stop at once."""
    world = Streamed().faulted_and_held_elsewhere()
    assert world.guard.at_rest
    world.cleared_and_armed()
    world.run_held(0.15)
    assert not world.guard.at_rest
    assert world.guard.disarm(world.now) == ''
    assert world.guard.phase is GuardPhase.DISARMED
    assert not world.guard.at_rest
    while not world.guard.at_rest:
        world.run_held(PERIOD_S)
    rests = world.sent[-1]
    world.run_held(0.1)
    assert np.array_equal(world.sent[-1], rests)
    assert_streamed_inside_of_the_limits(world.sent)


def test_the_way_of_the_take_over_can_be_stopped_at_every_tick():
    """At the full limits a profile, whose own are tighter, could not leave it at some ticks."""
    settings = GuardSettings(rate_hz=100.0, settle_s=0.0, transport_s=0.0)
    generator = np.random.default_rng(1)
    for index in range(40):
        size = 10 ** generator.uniform(-4, 0.3)
        far = np.zeros(7)
        far[generator.integers(7)] = size
        if not index % 2:
            far = generator.uniform(-1, 1, 7) * size
        world = World(settings=settings, streams_positions=True)
        assert world.guard.arm(world.now) == ''
        world.guard.e_stop(world.now)
        world.run(0.05)
        held = np.clip(READY + far, LIMITS.lower, LIMITS.upper)
        world.now += SECOND_NS
        world.guard.hear_joints(world.now, world.now, held)
        world.cleared_and_armed()
        way, profile = world.guard._motion, world.guard._profile
        for tick in range(way.end):
            assert profile.stopped(way, tick) is not way, (index, tick)


@pytest.mark.parametrize('velocity', [np.inf, -np.inf])
def test_a_velocity_that_is_infinite_is_no_rest(velocity):
    """A driver that says so is not to be believed, least of all that the arm stands."""
    world = World()
    world.guard.hear_joints(world.now, world.now, READY, np.full(7, velocity))
    assert 'the arm moves' in world.guard.arm(world.now)
