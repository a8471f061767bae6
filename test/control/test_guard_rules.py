"""The guard's phases, refusals and watchdogs: the rows of docs/guard.md."""

from __future__ import annotations

import math

import numpy as np
import pytest
from guard_world import LIMITS, MS, READY, START_NS, World, osc_space, swing, to_joints
from test_guard_limits import assert_inside_of_the_limits

from smoothvla_ros.control.motion_guard.controller_model import sampled_jerk
from smoothvla_ros.control.motion_guard.gripper import Gripper, GripperSettings
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import Phase
from smoothvla_ros.control.motion_guard.refusals import STOPPING, Refusal
from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.control.motion_guard.timeline import require_streamable
from smoothvla_ros.control.motion_guard.watchdogs import Pulse, Trip, WatchdogLimits, describe
from smoothvla_ros.errors import UserError

SECOND_NS = 1000 * MS
POISON = swing().ravel()
POISON[9] = np.nan
BEYOND = swing()
BEYOND[-1, 3] = 0.0
FAR = swing() + np.array([0, 0.3, 0, 0, 0, 0, 0, 0])
NOTHING = np.empty(0)

# What is wrong with a chunk: its actions, and what is changed of the rest.
BAD_CHUNKS = {
    Refusal.POLICY_REFUSED: (swing(), {'refusal': 'no image', 'actions': NOTHING, 'horizon': 0}),
    Refusal.UNKNOWN_ACTION_SPACE: (swing(), {'action_space': 'tool_velocity'}),
    Refusal.WRONG_SHAPE: (swing(), {'horizon': 9}),
    Refusal.WRONG_PERIOD: (swing(), {'dt': float('nan')}),
    Refusal.NOT_FINITE: (swing(), {'actions': POISON}),
    Refusal.CHUNK_TOO_OLD: (swing(), {'stamp_ns': START_NS - SECOND_NS}),
    Refusal.OBSERVATION_TOO_OLD: (swing(), {'observation_stamp_ns': START_NS - SECOND_NS}),
    Refusal.FROM_THE_FUTURE: (swing(), {'stamp_ns': START_NS + 60 * SECOND_NS}),
    Refusal.TOO_FAR_FROM_ARM: (FAR, {}),
    Refusal.UNREACHABLE: (BEYOND, {}),
}


def running(**arguments):
    """A world in which the arm moves, fast."""
    world = World(**arguments).armed()
    assert world.offer(swing(0.04, 40)) is None
    world.run(0.5)
    assert world.guard.phase is Phase.RUNNING
    assert np.abs(world.states[-1][1]).max() > 0.5
    return world


def assert_stops(world, phase):
    """The arm comes to rest inside of the limits, stays there, and the guard says its phase."""
    world.run(0.6)
    assert world.guard.phase is phase
    assert not world.moving()
    assert_inside_of_the_limits(world.signal())
    rest = world.states[-1][0].copy()
    world.commands.clear()
    world.run(0.2)
    assert world.commands == []
    np.testing.assert_array_equal(world.states[-1][0], rest)


# Phases


def test_arming_holds_the_arm_where_it_is():
    """One command that rests at the measured joints; nothing after it."""
    world = World()
    assert world.guard.phase is Phase.DISARMED
    assert world.guard.arm(world.now) == ''
    assert world.guard.phase is Phase.ARMED
    world.run(0.5)
    assert len(world.commands) == 1
    np.testing.assert_array_equal(world.states[-1][0], READY)


def test_arming_needs_joints_that_are_fresh_and_in_range():
    """The reason is returned, and the guard stays disarmed."""
    world = World()
    assert world.guard.arm(world.now + SECOND_NS) == str(Trip.NO_JOINT_STATES)
    world.guard.hear_joints(world.now, world.now, LIMITS.upper + 0.01)
    assert 'outside of its range' in world.guard.arm(world.now)
    assert world.guard.phase is Phase.DISARMED


def test_joints_that_are_not_finite_are_not_heard():
    """No number of theirs reaches a command: the arm is where it was measured before."""
    world = World()
    for broken in (np.nan, np.inf):
        world.guard.hear_joints(world.now, world.now, np.append(READY[:6], broken))
    world.guard.hear_joints(world.now, world.now, READY[:6])
    assert world.guard.arm(world.now) == ''
    np.testing.assert_array_equal(world.tick().motion.states[-1, 0], READY)


def test_arming_twice_and_clearing_without_a_fault_are_refused():
    """A phase is never entered from where the table does not say so."""
    world = World().armed()
    assert 'armed' in world.guard.arm(world.now)
    assert 'armed' in world.guard.clear_fault(world.now)


def test_chunk_moves_an_armed_arm_and_its_end_lets_it_rest():
    """Running, then at rest on the last target, then armed and silent."""
    world = World().armed()
    assert world.offer(swing()) is None
    assert world.guard.phase is Phase.RUNNING
    world.run(0.9)
    assert world.states[-1][0][0] == pytest.approx(READY[0] + 0.16, abs=2e-3)
    assert_stops(world, Phase.ARMED)
    assert world.guard.reason.startswith(Trip.NO_CHUNK)


def test_next_chunk_runs_from_armed_again():
    """A pause of the policy is no fault."""
    world = World().armed()
    world.offer(swing())
    world.run(1.5)
    assert world.guard.phase is Phase.ARMED
    assert world.offer(world_swing_back(world)) is None
    world.run(0.2)
    assert world.moving()
    assert_inside_of_the_limits(world.signal())


def world_swing_back(world):
    targets = np.tile(world.states[-1][0], (8, 1))
    targets[:, 0] -= 0.02 * np.arange(1, 9)
    return to_joints(*targets)


def test_disarming_stops_and_then_takes_no_chunk():
    """From running through stopping; chunks are refused from the first moment on."""
    world = running()
    assert world.guard.disarm(world.now) == ''
    assert world.guard.phase is Phase.STOPPING
    assert world.offer(swing()) is Refusal.NOT_ARMED
    assert_stops(world, Phase.DISARMED)


@pytest.mark.parametrize('moving', [True, False])
def test_emergency_stop_latches(moving):
    """At speed and at rest; neither arming nor disarming leads out."""
    world = running() if moving else World().armed()
    world.guard.e_stop(world.now)
    assert world.guard.fault_latched
    assert world.guard.reason == E_STOP
    assert_stops(world, Phase.FAULTED)
    assert 'faulted' in world.guard.arm(world.now)
    assert 'clear the fault' in world.guard.disarm(world.now)
    assert world.offer(swing()) is Refusal.NOT_ARMED
    assert world.guard.phase is Phase.FAULTED


def test_emergency_stop_latches_even_disarmed():
    """Whoever presses it before the arm is armed means it."""
    world = World()
    world.guard.e_stop(world.now)
    assert world.guard.phase is Phase.FAULTED
    assert world.guard.arm(world.now) != ''


def test_emergency_stop_during_another_stop_latches():
    """A stop ends in what is the most careful of what was asked for."""
    world = running()
    world.guard.disarm(world.now)
    world.run(0.02)
    world.guard.e_stop(world.now)
    world.guard.disarm(world.now)
    assert_stops(world, Phase.FAULTED)


def test_clearing_a_fault_arms_from_the_measured_joints():
    """Not from where the arm was last commanded."""
    world = running()
    world.guard.e_stop(world.now)
    world.run(0.6)
    world.offset = np.full(7, 0.05)
    world._listen()
    assert world.guard.clear_fault(world.now) == ''
    assert world.guard.phase is Phase.ARMED
    measured = world.states[-1][0] + 0.05
    world.tick()
    np.testing.assert_allclose(world.commands[-1].motion.states[-1, 0], measured)


@pytest.mark.parametrize('off_rad', [0.16, 0.3, 1.0])
def test_clearing_a_fault_leads_the_controller_to_the_arm_inside_of_the_limits(off_rad):
    """A controller that was left pushing against something is not thrown to where the arm is."""
    world = running()
    world.offset = off_rad * np.eye(7)[1]
    world.run(1.0)
    assert world.guard.reason.startswith(Trip.TRACKING)
    world.states.clear()
    assert world.guard.clear_fault(world.now) == ''
    world.tick()
    world.offset = np.zeros(7)
    world.guard.hear_joints(world.now, world.now, world.commands[-1].motion.states[-1, 0])
    world.run(3.0)
    positions, velocities, accelerations = world.signal()
    assert np.ptp(positions[:, 1]) == pytest.approx(off_rad)
    assert np.all(np.abs(velocities) <= LIMITS.velocity)
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration)
    assert np.all(np.abs(sampled_jerk(positions, 1e-3)) <= LIMITS.jerk)
    assert world.guard.phase is Phase.ARMED


def test_stop_takes_as_long_as_the_limits_need():
    """From full speed: the transport, the brake at the limits, and not a tenth of a second more."""
    world = World().armed()
    world.offer(swing(0.06, 40))
    world.run(0.9)
    speed = np.abs(world.states[-1][1]).max()
    world.guard.e_stop(world.now)
    world.tick()
    elapsed_ms = 0
    while world.moving():
        world.pass_ms(1)
        elapsed_ms += 1
    assert speed > 0.9
    assert elapsed_ms * 1e-3 < speed / LIMITS.acceleration[0] + 0.1


# Refusals


@pytest.mark.parametrize('refusal', BAD_CHUNKS)
def test_bad_chunk_moves_nothing(refusal):
    """Refused with its reason and its count; no command follows."""
    world = World().armed()
    actions, changes = BAD_CHUNKS[refusal]
    assert world.offer(actions, **changes) is refusal
    assert str(refusal) in world.guard.reason
    assert world.guard.refusals[refusal] == 1
    world.run(0.3)
    assert world.commands == []
    assert world.guard.phase is Phase.ARMED


@pytest.mark.parametrize('refusal', [refusal for refusal in BAD_CHUNKS if refusal in STOPPING])
def test_chunk_that_only_a_broken_policy_sends_stops_the_arm(refusal):
    """In motion too: what it sent before is not trusted either."""
    world = running()
    actions, changes = BAD_CHUNKS[refusal]
    moved = actions.copy()
    if refusal is Refusal.UNREACHABLE:
        moved[0, :7] = world.states[-1][0]
    assert world.offer(moved, **changes) is refusal
    assert world.guard.phase is Phase.STOPPING
    assert_stops(world, Phase.ARMED)


def test_late_chunk_lets_the_motion_go_on():
    """What is being executed remains right."""
    world = running()
    assert world.offer(swing(), stamp_ns=START_NS - SECOND_NS) is Refusal.CHUNK_TOO_OLD
    world.run(0.1)
    assert world.guard.phase is Phase.RUNNING
    assert world.moving()


def test_same_chunk_again_is_taken_once_and_older_ones_never():
    """Sequence numbers rise within an epoch; a repetition is no news."""
    world = World().armed()
    first, second = world.chunk(swing()), world.chunk(swing())
    assert world.guard.offer(world.now, second) is None
    assert world.guard.offer(world.now, second) is Refusal.DUPLICATE
    assert world.guard.reason == ''
    assert world.guard.offer(world.now, first) is Refusal.OUT_OF_ORDER
    assert world.guard.chunks == 1


def test_old_epoch_is_refused_and_a_new_one_only_at_rest():
    """A policy that was restarted may go on from where the arm stands, never in its motion."""
    world = running()
    assert world.offer(swing(), epoch=0) is Refusal.OLD_EPOCH
    assert world.offer(swing(), epoch=2) is Refusal.NEW_EPOCH_IN_MOTION
    assert_stops(world, Phase.ARMED)
    restarted = world.chunk(world_swing_back(world), epoch=2, seq=1)
    assert world.guard.offer(world.now, restarted) is None
    assert (world.guard.epoch, world.guard.seq) == (2, 1)


def test_chunk_without_a_heartbeat_is_refused():
    """Before anything moves."""
    world = World().armed()
    world.hears_heartbeat = False
    world.run(0.6)
    assert world.guard.phase is Phase.ARMED
    assert world.offer(swing()) is Refusal.NO_HEARTBEAT


def test_chunk_that_is_all_over_when_it_arrives_is_refused():
    """Its actions belong to a time that has passed."""
    world = running()
    late = {'observation_stamp_ns': world.now - 450 * MS}
    assert world.offer(swing(), **late) is Refusal.CHUNK_TOO_OLD


def test_pose_out_of_reach_is_refused():
    """A delta has no range of its own: where it leads has."""
    world = World(osc_space(), chunk_limits=None).armed()
    up = np.tile([0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0], (64, 1))
    assert world.offer(up) is Refusal.UNREACHABLE
    assert 'the chunk ends at' in world.guard.reason
    world.run(0.1)
    assert world.commands == []


# Watchdogs


def stop_of(world, change, trip):
    change(world)
    world.run(0.7)
    assert world.guard.reason.startswith(trip)
    assert world.guard.fault_latched
    assert_stops(world, Phase.FAULTED)


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
    pulse = Pulse(-1.25, 0.143, 0.25, math.inf, 0.75, 0.201, 0.601)
    texts = {trip: describe(trip, pulse, WatchdogLimits()) for trip in Trip}
    assert all(text.startswith(f'{trip}: ') for trip, text in texts.items())
    assert 'began 0.143 s late, max_late_s=0.05: too many programs' in texts[Trip.OVERRUN]
    assert 'none for 0.250 s, joint_states_timeout_s=0.1' in texts[Trip.NO_JOINT_STATES]
    assert 'none ever came, heartbeat_timeout_s=0.5' in texts[Trip.NO_HEARTBEAT]
    assert 'execute for 0.750 s, chunk_timeout_s=0.5' in texts[Trip.NO_CHUNK]
    assert '0.201 rad off, max_tracking_error_rad=0.15' in texts[Trip.TRACKING]
    assert 'by 0.601 rad, max_lag_rad=0.5' in texts[Trip.LAG]
    assert 'by 1.250 s' in texts[Trip.CLOCK_WENT_BACK]


def test_silence_of_the_policy_pauses():
    """No chunk for longer than chunk_timeout_s: at rest, armed, and said so."""
    world = running()
    world.run(2.0)
    world.run(1.0)
    assert world.guard.reason.startswith(Trip.NO_CHUNK)
    assert_stops(world, Phase.ARMED)


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


def test_loop_that_is_far_too_late_is_a_fault():
    """The arm has come to rest by itself meanwhile."""
    world = running()
    world.pass_ms(500)
    world._listen()
    world.tick()
    assert world.guard.late_ticks == 1
    assert world.guard.reason.startswith(Trip.OVERRUN)
    assert_stops(world, Phase.FAULTED)


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
    assert world.guard.phase is Phase.FAULTED
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


def test_observation_stamped_a_little_later_than_now_leaves_no_action_out():
    """Clocks differ by less than what is allowed; the chunk begins with its first action."""
    world = running()
    now_s = world.guard._time.now_tick * world.guard._time.period_s
    actions = swing(0.0, 32)
    actions[:, 0] = world.guard._motion.states[-1, 0, 0]
    later = {'observation_stamp_ns': world.now + 20 * MS}
    assert world.offer(actions, dt=0.01, **later) is None
    assert world.guard._schedule.commanded_until_s - now_s > 0.3


def test_joints_and_heartbeat_heard_before_the_clock_jumped_back_are_not_fresh():
    """Silence that begins with the jump is silence, not a life as long as the jump."""
    world = running()
    world.hears_joints = world.hears_heartbeat = False
    world.now -= 10 * SECOND_NS
    world.guard.tick(world.now)
    world.now += SECOND_NS
    world.guard.tick(world.now)
    assert world.guard.phase is Phase.FAULTED
    assert world.guard.clear_fault(world.now) == Trip.NO_JOINT_STATES
    world.guard.hear_joints(world.now, world.now, READY)
    assert world.guard.clear_fault(world.now) == ''
    assert world.offer(swing()) is Refusal.NO_HEARTBEAT


def test_lag_beyond_its_limit_is_a_fault():
    """An arm that cannot follow is somewhere else than the policy believes."""
    world = World(watchdog_limits=WatchdogLimits(max_lag_rad=0.05)).armed()
    world.offer(swing(0.1, 10))
    stop_of(world, lambda _: None, Trip.LAG)


# Chunks


def test_replacing_chunk_begins_with_the_action_that_is_due():
    """Of a chunk that answers an observation of 100 ms ago, the first two actions are over."""
    ends = {}
    for age_ms in (0, 100):
        world = World(settings=GuardSettings(overlap=0)).armed()
        world.offer(swing(0.0, 8))
        world.run(0.2)
        world.offer(swing(0.01, 8), observation_stamp_ns=world.now - age_ms * MS)
        ends[age_ms] = world.guard._schedule.commanded_until_s
    assert ends[0] - ends[100] == pytest.approx(0.1)


def test_whole_chunks_queue_and_the_one_that_waits_is_replaced():
    """The third chunk takes the place of the second, which never began."""
    world = World(settings=GuardSettings(scheduling='whole')).armed()
    for _ in range(3):
        assert world.offer(swing(0.01, 8)) is None
    world.run(0.2)
    duration = world.guard._schedule.commanded_until_s - 0.3
    assert duration == pytest.approx(0.8, abs=0.05)


def test_overlap_mixes_old_and_new_evenly():
    """With an overlap of one, the first action is the mean of both."""
    settings = GuardSettings(overlap=1, skip_elapsed=False, horizon_s=0.0)
    world = World(settings=settings).armed()
    world.offer(swing(0.0, 40))
    world.run(0.5)
    world.offer(swing(0.04, 3))
    schedule = world.guard._schedule
    assert schedule._spans[-1].action[0] == pytest.approx(READY[0] + 0.02)
    assert schedule._waiting[0][0][0] == pytest.approx(READY[0] + 0.08)


def test_first_changed_command_follows_within_a_tick():
    """A chunk that arrives between two ticks changes the very next command."""
    world = World().armed()
    world.pass_ms(3)
    world.offer(swing())
    world.pass_ms(1)
    world._listen()
    assert world.tick().motion is not None


# Gripper, limits, controllers


def test_gripper_moves_on_a_change_of_sign_only():
    """Small numbers and NaN change nothing; a positive one closes, as in LIBERO."""
    gripper = Gripper(GripperSettings())
    said = [gripper.update(x) for x in (-1.0, -0.9, 0.01, float('nan'), 1.0, 0.5, -0.02, -1.0)]
    assert said == [True, None, None, None, False, None, None, True]
    assert Gripper(GripperSettings(gripper_positive_closes=False)).update(1.0) is True


def test_slow_guard_does_not_stream_to_a_fast_controller():
    """Held positions are steps; this is refused before anything moves."""
    with pytest.raises(UserError, match='below the controller rate'):
        require_streamable(250.0, 1000.0)
    require_streamable(500.0, 500.0)


@pytest.mark.parametrize('missing', ['comfort_jerk', 'vendor_velocity', 'position_upper'])
def test_robot_without_a_limit_is_refused(tmp_path, missing):
    """A missing limit is an error, never infinity."""
    from guard_world import CONFIG

    lines = (CONFIG / 'robots' / 'panda.yaml').read_text().splitlines()
    path = tmp_path / 'arm.yaml'
    path.write_text('\n'.join(line for line in lines if not line.startswith(missing)))
    with pytest.raises(UserError, match=missing):
        RobotDescription.from_file(path)


def test_comfort_limits_never_exceed_the_vendors(tmp_path):
    """Both files that are shipped hold, and a slip in one of them is found."""
    from guard_world import CONFIG

    for name in ('panda', 'fr3'):
        RobotDescription.from_file(CONFIG / 'robots' / f'{name}.yaml')
    text = (CONFIG / 'robots' / 'panda.yaml').read_text().replace('[1500.0,', '[9000.0,')
    (tmp_path / 'arm.yaml').write_text(text)
    with pytest.raises(UserError, match='comfort_jerk'):
        RobotDescription.from_file(tmp_path / 'arm.yaml')


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
