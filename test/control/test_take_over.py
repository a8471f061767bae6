"""Arming, and clearing a fault: how an arm is taken over, and when it is not."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import LIMITS, MS, READY, World, swing, to_joints
from test_guard_limits import sampled_jerk

from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import Phase
from smoothvla_ros.control.motion_guard.refusals import Refusal

RATE_HZ = 500.0
PERIOD_S = 1 / RATE_HZ
HELD = READY + np.array([0.1, -0.05, 0.02, 0.0, 0.03, -0.2, 0.15])
SLACK = 1 + 1e-6


class Streamed(World):
    """A guard that streams to an arm which stands where it is held; `sent` is what it was told."""

    def __init__(self):
        super().__init__(settings=GuardSettings(rate_hz=RATE_HZ), streams_positions=True)
        self.held, self.sent = READY, []

    def run_held(self, seconds):
        """Tick with the arm measured where it is held."""
        for _ in range(round(seconds * RATE_HZ)):
            self.now += self.period_ms * MS
            self.guard.hear_joints(self.now, self.now, self.held)
            self.guard.hear_heartbeat(self.now)
            position = self.guard.tick(self.now).position
            # A controller without interpolation holds its last command where none comes.
            self.sent.append(self.sent[-1] if position is None and self.sent else position)

    def faulted_and_held_elsewhere(self):
        assert self.guard.arm(self.now) == ''
        self.run_held(0.4)
        self.guard.e_stop(self.now)
        self.run_held(0.1)
        assert self.guard.phase is Phase.FAULTED
        self.held = HELD
        self.run_held(0.1)
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
    assert world.guard.clear_fault(world.now) == ''
    world.run_held(2.0)
    assert world.guard.phase is Phase.ARMED
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
    assert world.guard.clear_fault(world.now) == ''
    world.run_held(0.15)
    assert getattr(world.guard, asked)(world.now) == ''
    again = world.guard.clear_fault if asked == 'e_stop' else world.guard.arm
    assert 'still being taken over' in again(world.now)
    world.run_held(1.0)
    assert np.array_equal(world.sent[-1], world.sent[-100])
    assert np.abs(world.sent[-1] - HELD).max() > 0.05
    assert_streamed_inside_of_the_limits(world.sent)
    assert again(world.now) == ''
    world.run_held(2.0)
    assert np.array_equal(world.sent[-1], HELD)
    assert_streamed_inside_of_the_limits(world.sent)


def test_an_arm_that_moves_is_not_taken_over():
    """At rest it is; what a driver does not know, NaN or nothing, is not held against it."""
    world, velocities = World(), np.zeros(7)
    velocities[4] = -0.06
    world.guard.hear_joints(world.now, world.now, READY, velocities)
    refused = world.guard.arm(world.now)
    assert 'a joint at 0.06 rad/s' in refused
    assert 'max_arming_speed_rad_s=0.05' in refused
    assert world.guard.phase is Phase.DISARMED
    for known in (np.where(velocities < 0, 0.04, 0.0), np.full(7, np.nan), np.zeros(3), None):
        other = World()
        other.guard.hear_joints(other.now, other.now, READY, known)
        assert other.guard.arm(other.now) == ''


def test_a_fault_is_not_cleared_while_the_arm_moves():
    """Somebody pushes it, or it sinks: it would be taken over where it was a moment ago."""
    world = World().armed()
    world.guard.e_stop(world.now)
    world.run(0.1)
    moving = np.full(7, np.nan)
    moving[1] = 0.5
    world.guard.hear_joints(world.now, world.now, READY, moving)
    assert 'the arm moves' in world.guard.clear_fault(world.now)
    assert world.guard.phase is Phase.FAULTED
    world.guard.hear_joints(world.now, world.now, READY, np.zeros(7))
    assert world.guard.clear_fault(world.now) == ''


def test_arming_anew_lets_a_policy_in_whose_epoch_lies_before():
    """One chunk from far ahead locked out every later policy; within one arming it still does."""
    world = World().armed()
    assert world.offer(swing(), epoch=2**62) is None
    world.run(1.0)
    assert world.offer(swing(), epoch=7) is Refusal.OLD_EPOCH
    assert world.guard.disarm(world.now) == ''
    world.run(0.5)
    assert world.guard.phase is Phase.DISARMED
    assert world.guard.arm(world.now) == ''
    world.run(0.3)
    here = world.states[-1][0]
    assert world.offer(to_joints(*(here for _ in range(4))), epoch=7) is None
    assert world.guard.epoch == 7
