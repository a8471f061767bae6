"""The FR3 near the ends of its joints, where its controller aborts at less than elsewhere."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from guard_world import CONFIG, MS, SECOND_NS, World, to_joints

from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.watchdogs import WatchdogLimits
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import RobotDescription

FR3 = RobotDescription.from_file(CONFIG / 'robots' / 'fr3.yaml')
# libfranka's: offset rad/s, twice the deceleration rad/s^2, both ends rad, of each joint.
PUBLISHED = (
    (0.30, 12.0, -2.7501, 2.7501),
    (0.20, 5.17, -1.7918, 1.7918),
    (0.20, 7.00, -2.9065, 2.9065),
    (0.30, 8.00, -3.0481, -0.1458),
    (0.35, 34.0, -2.8101, 2.8101),
    (0.35, 11.0, 0.54092, 4.5205),
    (0.35, 34.0, -3.0196, 3.0196),
)
FASTEST = (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26)


def allowed(position, joint, direction):
    """What the FR3's controller allows a joint at a position in one direction, rad/s."""
    offset, twice, lower, upper = PUBLISHED[joint]
    way = upper - position if direction > 0 else position - lower
    return min(FASTEST[joint], max(0.0, (max(0.0, twice * way)) ** 0.5 - offset)) - 1e-3


def excess(positions, velocities):
    """By how much a motion is faster than allowed, rad/s, of each sample and joint."""
    beyond = np.empty(positions.shape)
    for (sample, joint), position in np.ndenumerate(positions):
        velocity = velocities[sample, joint]
        most = allowed(position, joint, np.sign(velocity))
        beyond[sample, joint] = abs(velocity) - max(most, 0.0)
    return beyond


def driven_to_the_ends(limits, direction):
    """Every joint from rest to full speed, and on to the end of its range as if there were none."""
    faster = 0.6 * limits.acceleration
    run = limits.velocity**2 / (2 * faster) + 1.2
    end = limits.upper if direction > 0 else limits.lower
    world = World(
        limits=limits,
        start=end - direction * run,
        watchdog_limits=WatchdogLimits(max_lag_rad=100.0),
    ).armed()
    world.states.clear()
    time = 0.05 * np.arange(1, 61)[:, None]
    gaining = np.minimum(time, limits.velocity / faster)
    moved = faster * gaining**2 / 2 + limits.velocity * (time - gaining)
    assert world.offer(to_joints(*(end - direction * np.maximum(run - moved, 0.0)))) is None
    world.run(3.2)
    return world, end


@pytest.mark.parametrize('direction', [1, -1])
@pytest.mark.parametrize('which', ['comfort', 'vendor'])
def test_no_joint_is_faster_near_its_end_than_its_controller_allows(which, direction):
    """Driven fast against both ends of every joint, which are reached without a fault."""
    limits = FR3.limits(which)
    world, end = driven_to_the_ends(limits, direction)
    positions, velocities, _ = world.signal()
    print(which, direction, 'nearest to the limit, rad/s:', excess(positions, velocities).max())
    print('unextended ticks:', world.guard.unextended_ticks)
    share = np.abs(velocities).max(axis=0) / limits.velocity
    print('largest shares of the velocity:', share.round(2).tolist())
    # Seven joints that wait for each other do not get to all of the vendor's velocity on this way.
    assert np.all(share > (0.9 if which == 'comfort' else 0.4))
    assert excess(positions, velocities).max() <= 0.0
    assert world.guard.phase is GuardPhase.RUNNING
    assert np.abs(positions[-1] - end).max() < 5e-3


def test_constant_limits_alone_are_too_fast_near_the_ends():
    """What the settings are for: without them the same motion is beyond what is allowed."""
    world, _ = driven_to_the_ends(dataclasses.replace(FR3.limits('comfort'), ends=None), 1)
    positions, velocities, _ = world.signal()
    assert excess(positions, velocities).max() > 0.1


def test_targets_that_jump_near_the_ends_keep_what_is_allowed():
    """A policy that turns around late, again and again, within half a radian of the ends."""
    limits, generator = FR3.limits('comfort'), np.random.default_rng(3)
    watchdogs = WatchdogLimits(max_lag_rad=100.0)
    world = World(limits=limits, start=limits.upper - 0.3, watchdog_limits=watchdogs).armed()
    part = np.minimum(np.arange(1, 9)[:, None] / 6, 1.0)
    for _ in range(12):
        here = world.states[-1][0]
        there = limits.upper - generator.uniform(0.0, 0.5, 7) * generator.integers(0, 2, 7)
        assert world.offer(to_joints(*(here + part * (there - here)))) is None
        world.run(0.3)
    positions, velocities, _ = world.signal()
    assert np.ptp(positions, axis=0).min() > 0.05
    assert excess(positions, velocities).max() <= 0.0


@pytest.mark.parametrize('direction', [1, -1])
def test_a_streamed_arm_is_led_to_the_end_of_its_range_as_slowly_as_is_allowed_there(direction):
    """It was left elsewhere, and stands at the very end: what is sent is what has to be allowed."""
    limits = FR3.limits('comfort')
    end = limits.upper if direction > 0 else limits.lower
    start = end - direction * 0.4
    world = World(
        limits=limits,
        start=start,
        settings=GuardSettings(rate_hz=500.0),
        streams_positions=True,
    )
    assert world.guard.arm(world.now) == ''
    world.run(0.4)
    world.guard.e_stop(world.now)
    world.run(0.1)
    world.now += SECOND_NS
    world.guard.hear_joints(world.now, world.now, end)
    world.cleared_and_armed()
    sent = [start]
    while not world.guard.at_rest:
        world.now += 2 * MS
        world.guard.hear_joints(world.now, world.now, end)
        sent.append(world.guard.tick(world.now).position)
    sent = np.array(sent)
    np.testing.assert_array_equal(sent[-1], end)
    assert excess(sent[1:], 500.0 * np.diff(sent, axis=0)).max() <= 0.0


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'end_upper': ()}, r'end_upper=\[\] must be 7 finite numbers'),
        ({'end_deceleration': (0.0,) * 7}, 'end_deceleration=.* above 0'),
        ({'end_velocity_offset': (-0.1,) * 7}, 'must be at least 0'),
        (
            {'position_upper': (2.7437, *FR3.position_upper[1:])},
            'position_upper=2.7437 of',
        ),
        ({'end_lower': (-2.0, *FR3.end_lower[1:])}, 'position_lower=-2.729 of'),
    ],
)
def test_settings_of_the_ends_that_cannot_hold_are_refused(changes, said):
    """All of them or none, and a range in which every place can be led to."""
    with pytest.raises(UserError, match=said):
        dataclasses.replace(FR3, **changes)
