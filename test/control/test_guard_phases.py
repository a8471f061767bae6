"""The phases of the guard, and how each is entered and left: the first table of docs/guard.md."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import (
    LIMITS,
    READY,
    SECOND_NS,
    World,
    assert_inside_of_the_limits,
    assert_stops,
    running,
    swing,
    swing_back,
)

from benchmarks.controller_model import sampled_jerk
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import Refusal
from smoothvla_ros.control.motion_guard.watchdogs import Trip


def test_arming_holds_the_arm_where_it_is():
    """One command that rests at the measured joints; nothing after it."""
    world = World()
    assert world.guard.phase is GuardPhase.DISARMED
    assert world.guard.arm(world.now) == ''
    assert world.guard.phase is GuardPhase.ARMED
    world.run(1.0)
    assert len(world.commands) == 1
    np.testing.assert_array_equal(world.states[-1][0], READY)


def test_arming_needs_joints_that_are_fresh_and_in_range():
    """The reason is returned, and the guard stays disarmed."""
    world = World()
    assert world.guard.arm(world.now + SECOND_NS) == str(Trip.NO_JOINT_STATES)
    world.guard.hear_joints(world.now, world.now, LIMITS.upper + 0.01)
    assert 'outside of its range' in world.guard.arm(world.now)
    assert world.guard.phase is GuardPhase.DISARMED


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
    assert world.guard.phase is GuardPhase.RUNNING
    world.run(0.9)
    assert world.states[-1][0][0] == pytest.approx(READY[0] + 0.16, abs=2e-3)
    assert_stops(world, GuardPhase.ARMED)
    assert world.guard.reason.startswith(Trip.NO_CHUNK)


def test_next_chunk_runs_from_armed_again():
    """A pause of the policy is no fault."""
    world = World().armed()
    world.offer(swing())
    world.run(1.5)
    assert world.guard.phase is GuardPhase.ARMED
    assert world.offer(swing_back(world)) is None
    world.run(0.2)
    assert world.moving()
    assert_inside_of_the_limits(world.signal())


@pytest.mark.parametrize('streams', [True, False])
def test_what_is_commanded_is_what_the_arm_receives(streams):
    """At every tick, in a stop, taken over elsewhere; None where only the controller knows."""
    settings = GuardSettings(rate_hz=500.0 if streams else 250.0)
    world = World(settings=settings, streams_positions=streams)
    told = []

    def follow(seconds):
        """Return at how many ticks something was commanded, and of how many it is known."""
        known = sent = 0
        for _ in range(round(seconds * settings.rate_hz)):
            world.pass_ms(world.period_ms)
            world._listen()
            command, commanded = world.tick(), world.guard.commanded()
            received = command.position if streams else world.states[-1]
            moving = world.guard.phase not in (GuardPhase.DISARMED, GuardPhase.FAULTED)
            sent += command.position is not None if streams else moving
            known += commanded is not None
            if commanded is not None and received is not None:
                got = commanded[0] if streams else commanded
                np.testing.assert_allclose(got, received, atol=1e-9)
                told.append(commanded)
        return known, sent

    assert follow(0.1) == (0, 0)
    assert world.guard.arm(world.now) == ''
    follow(1.0)
    assert world.offer(swing()) is None
    known, sent = follow(0.4)
    assert known == sent > 0
    assert np.abs(told[-1][1]).max() > 0.1
    world.guard.e_stop(world.now)
    follow(1.0)
    assert world.guard.commanded() is None
    world.offset = np.full(7, 0.05)
    world.pass_ms(1000)
    world._listen()
    told.clear()
    world.cleared_and_armed()
    known, sent = follow(1.0)
    # A stream ends where the arm is held, and the controller holds it there.
    assert (known >= sent) is streams
    np.testing.assert_allclose(told[-1][0], world.guard._heard.measured.joints, atol=0.06)
    world.guard.e_stop(world.now)
    follow(0.1)
    assert world.guard.commanded() is None


def test_disarming_stops_and_then_takes_no_chunk():
    """From running through stopping; chunks are refused from the first moment on."""
    world = running()
    assert world.guard.disarm(world.now) == ''
    assert world.guard.phase is GuardPhase.STOPPING
    assert world.offer(swing()) is Refusal.NOT_ARMED
    assert_stops(world, GuardPhase.DISARMED)


@pytest.mark.parametrize('moving', [True, False])
def test_emergency_stop_latches(moving):
    """At speed and at rest; neither arming nor disarming leads out."""
    world = running() if moving else World().armed()
    world.guard.e_stop(world.now)
    assert world.guard.fault_latched
    assert world.guard.reason == E_STOP
    assert_stops(world, GuardPhase.FAULTED)
    assert 'faulted' in world.guard.arm(world.now)
    assert 'clear the fault' in world.guard.disarm(world.now)
    assert world.offer(swing()) is Refusal.NOT_ARMED
    assert world.guard.phase is GuardPhase.FAULTED


def test_emergency_stop_latches_even_disarmed():
    """Whoever presses it before the arm is armed means it."""
    world = World()
    world.guard.e_stop(world.now)
    assert world.guard.phase is GuardPhase.FAULTED
    assert world.guard.arm(world.now) != ''


def test_emergency_stop_during_another_stop_latches():
    """A stop ends in what is the most careful of what was asked for."""
    world = running()
    world.guard.disarm(world.now)
    world.run(0.02)
    world.guard.e_stop(world.now)
    world.guard.disarm(world.now)
    assert_stops(world, GuardPhase.FAULTED)


@pytest.mark.parametrize('streams', [True, False])
@pytest.mark.parametrize('fault', [E_STOP, str(Trip.NO_HEARTBEAT)])
def test_clearing_a_fault_moves_nothing_until_the_guard_is_armed(fault, streams):
    """A policy that never stopped publishing is refused: a reset is no restart."""
    settings = GuardSettings(rate_hz=500.0 if streams else 250.0)
    world = running(settings=settings, streams_positions=streams)
    if fault == E_STOP:
        world.guard.e_stop(world.now)
    else:
        world.hears_heartbeat = False
    world.run(2.0)
    assert world.guard.reason.startswith(fault)
    world.hears_heartbeat = True
    world.run(0.1)
    assert world.guard.clear_fault(world.now) == ''
    assert (world.guard.phase, world.guard.reason) == (GuardPhase.DISARMED, '')
    world.commands.clear()
    for _ in range(50):
        assert world.offer(swing()) is Refusal.NOT_ARMED
        world.pass_ms(world.period_ms)
        world._listen()
        command = world.tick()
        assert command.motion is None
        assert command.position is None
        assert command.open_gripper is None
    assert world.guard.phase is GuardPhase.DISARMED
    assert world.guard.arm(world.now) == ''
    world.run(1.0)
    assert world.offer(swing_back(world)) is None


def test_a_fault_is_cleared_whatever_the_arm_does():
    """Nothing follows from it: what a motion needs is asked of whoever arms."""
    world = World()
    world.guard.e_stop(world.now)
    world.now += SECOND_NS
    assert world.guard.clear_fault(world.now) == ''
    assert world.guard.arm(world.now) == str(Trip.NO_JOINT_STATES)


def test_arming_after_a_fault_begins_at_the_measured_joints():
    """Not where the arm was last commanded."""
    world = running()
    world.guard.e_stop(world.now)
    world.run(0.6)
    world.offset = np.full(7, 0.05)
    world.run(0.3)
    world.cleared_and_armed()
    assert world.guard.phase is GuardPhase.ARMED
    measured = world.states[-1][0] + 0.05
    world.tick()
    np.testing.assert_allclose(world.commands[-1].motion.states[-1, 0], measured)


@pytest.mark.parametrize('off_rad', [0.16, 0.3, 1.0])
def test_arming_after_a_fault_leads_the_controller_to_the_arm_inside_of_the_limits(off_rad):
    """A controller that was left pushing against something is not thrown to where the arm is."""
    world = running()
    world.offset = off_rad * np.eye(7)[1]
    world.run(1.0)
    assert world.guard.reason.startswith(Trip.TRACKING)
    world.states.clear()
    world.cleared_and_armed()
    world.tick()
    world.offset = np.zeros(7)
    world.guard.hear_joints(world.now, world.now, world.commands[-1].motion.states[-1, 0])
    world.run(3.0)
    positions, velocities, accelerations = world.signal()
    assert np.ptp(positions[:, 1]) == pytest.approx(off_rad)
    assert np.all(np.abs(velocities) <= LIMITS.velocity)
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration)
    assert np.all(np.abs(sampled_jerk(positions, 1e-3)) <= LIMITS.jerk)
    assert world.guard.phase is GuardPhase.ARMED


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
