"""Where the limit of jerk ends: a controller whose own timing is uneven, known gaps of guard.md.

The motion that is commanded keeps its limits; a finite difference of what the arm is told divides
the unevenness of the times by the period's cube.
"""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import LIMITS, MS, READY, World, swing

from benchmarks.controller_model import sampled_jerk
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings

STREAM_S = 0.002


def worst_share(positions, period_s):
    """Return the third difference of joint 1 over its limit of jerk, the largest."""
    worst = np.abs(sampled_jerk(positions, period_s))[:, 0].max()
    print(f'{worst:.0f} rad/s^3, limit {LIMITS.jerk[0]:.0f}')
    return worst / LIMITS.jerk[0]


@pytest.mark.parametrize(
    ('jitter_us', 'least', 'most'), [(0, 0, 1), (1, 3, 6), (5, 15, 30), (20, 60, 120)]
)
def test_trajectory_controller_that_wakes_late_samples_the_same_motion_at_uneven_times(
    jitter_us, least, most
):
    """Its velocities and accelerations keep their limits; only differences over 1 ms do not."""
    generator = np.random.default_rng(0)
    world = World()
    update, last_ns = world.controller.update, 0

    def update_late(now_ns):
        nonlocal last_ns
        last_ns = max(now_ns + int(abs(generator.normal(0, jitter_us * 1000))), last_ns)
        return update(last_ns)

    world.controller.update = update_late
    world.armed()
    assert world.offer(swing(0.03, 16)) is None
    world.run(1.2)
    positions, velocities, accelerations = world.signal()
    assert np.all(np.abs(velocities) <= LIMITS.velocity)
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration)
    assert least <= worst_share(positions, 1e-3) <= most


@pytest.fixture(scope='module')
def streamed():
    """A swing as the guard streams it, one position a period [T, 7]."""
    world = World(settings=GuardSettings(rate_hz=1 / STREAM_S), streams_positions=True)
    joints, positions = READY, []
    assert world.guard.arm(world.now) == ''
    for tick in range(700):
        world.now += world.period_ms * MS
        world.guard.hear_joints(world.now, world.now, joints)
        world.guard.hear_heartbeat(world.now)
        if tick == 200:
            assert world.offer(swing(0.03, 16)) is None
        position = world.guard.tick(world.now).position
        joints = joints if position is None else position
        positions.append(joints)
    return np.array(positions)


def newest_of_each_period(positions, jitter_us, phase):
    """Return what a controller of the same rate takes: once a period the newest, with no queue.

    phase: of its period, when it looks; its clock is 20 ppm slower, so that the phase drifts.
    """
    times = np.arange(len(positions)) * STREAM_S
    late = np.abs(np.random.default_rng(0).normal(0, jitter_us * 1e-6, len(times)))
    looks = phase * STREAM_S + times * (1 + 20e-6)
    newest = np.searchsorted(np.maximum.accumulate(times + late), looks, side='right') - 1
    return positions[np.clip(newest, 0, len(positions) - 1)]


def test_forward_controller_that_takes_the_newest_position_doubles_and_skips(streamed):
    """In phase with the guard's ticks; each taken once and in order, as the twin does, it holds."""
    assert worst_share(streamed, STREAM_S) <= 1.0
    assert worst_share(newest_of_each_period(streamed, 20, 0.5), STREAM_S) <= 1.0
    assert worst_share(newest_of_each_period(streamed, 20, 0.0), STREAM_S) > 300.0
