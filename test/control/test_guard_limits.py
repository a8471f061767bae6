"""Whatever comes in, what the arm receives stays inside of every limit."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import (
    LIMITS,
    MS,
    READY,
    RELATIVE,
    World,
    assert_inside_of_the_limits,
    osc_space,
    swing,
    to_joints,
)

from benchmarks.controller_model import sampled_jerk
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import ChunkLimits
from smoothvla_ros.control.motion_guard.watchdogs import WatchdogLimits

# What a chunk may be and how late things may come is another file's: here everything gets through.
ANYTHING = ChunkLimits(
    max_start_distance_rad=100.0, max_chunk_age_s=10.0, max_observation_age_s=10.0
)
PATIENT = WatchdogLimits(max_lag_rad=100.0, max_late_s=10.0, max_tracking_error_rad=0.5)


def adversarial_chunk(generator, world):
    """Targets anywhere in the range, at its ends, beyond them, and jumps that no arm can follow."""
    steps = generator.integers(1, 12)
    kind = generator.integers(0, 5)
    if kind == 0:
        targets = generator.uniform(LIMITS.lower, LIMITS.upper, (steps, 7))
    elif kind == 1:
        ends = generator.integers(0, 2, 7).astype(bool)
        targets = np.tile(np.where(ends, LIMITS.upper, LIMITS.lower), (steps, 1))
    elif kind == 2:
        here = world.controller.update(world.now)[0]
        jumps = generator.choice([-0.5, 0.0, 0.5], (steps, 7))
        targets = np.clip(here + jumps, LIMITS.lower, LIMITS.upper)
    else:
        here = world.controller.update(world.now)[0]
        pace = generator.uniform(-3, 3, 7) * 0.05
        targets = here + pace * np.arange(1, steps + 1)[:, None]
        if kind == 3:
            targets = np.clip(targets, LIMITS.lower, LIMITS.upper)
    return to_joints(*targets)


def adversarial_deltas(generator, world):
    """Of tool deltas: full command any way, turned about at once, or far beyond the scale."""
    steps = generator.integers(1, 12)
    kind = generator.integers(0, 3)
    if kind == 0:
        return np.tile(generator.choice([-1.0, 0.0, 1.0], 7), (steps, 1))
    if kind == 1:
        return generator.choice([-1.0, 1.0], (steps, 7))
    return generator.normal(0.0, 3.0, (steps, 7))


def play(seed, ticks, settings, space=None):
    """Random chunks, dropped, late, twice and out of order, and ticks that come too late."""
    generator = np.random.default_rng(seed)
    limits = {'chunk_limits': ANYTHING, 'watchdog_limits': PATIENT}
    world = World(space, settings, **limits).armed()
    chunk = adversarial_chunk if space is None else adversarial_deltas
    held = []
    for _ in range(ticks):
        late = generator.random() < 0.02
        world.pass_ms(world.period_ms * (generator.integers(2, 20) if late else 1))
        world._listen()
        if generator.random() < 0.05:
            held.append(world.chunk(chunk(generator, world)))
        while held and generator.random() < 0.3:
            world.guard.offer(world.now, held.pop(generator.integers(len(held))))
        held = held[-3:]
        world.transport_ms = int(generator.integers(0, 8))
        world.tick()
    world.run(1.5)
    return world


@pytest.mark.parametrize('seed', range(3))
def test_no_limit_is_ever_exceeded(seed):
    """Random and adversarial chunks, latencies, drops, reorderings, late ticks."""
    settings = GuardSettings(overlap=seed, scheduling=('replace', 'whole')[seed % 2])
    world = play(seed, 2000, settings)
    assert world.guard.chunks > 20
    assert_inside_of_the_limits(world.signal())
    assert np.abs(world.signal()[1]).max() > 0.9
    assert not world.moving()


def test_no_limit_is_exceeded_by_deltas_that_lead_anywhere():
    """To the edge of the reach, beyond it and about, by the model of LIBERO's controller."""
    world = play(3, 1000, GuardSettings(), osc_space())
    assert world.guard.chunks > 20
    assert_inside_of_the_limits(world.signal())
    assert np.abs(world.signal()[1]).max() > 0.9
    assert not world.moving()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('seed', range(20, 24))
def test_no_limit_is_exceeded_in_twenty_thousand_ticks_of_deltas(seed):
    """Four runs of five thousand ticks."""
    world = play(seed, 5000, GuardSettings(overlap=seed % 3), osc_space())
    print(f'{world.guard.chunks} chunks, refused {dict(world.guard.refusals)}')
    assert_inside_of_the_limits(world.signal())
    assert not world.moving()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('seed', range(10, 20))
def test_no_limit_is_exceeded_in_a_hundred_thousand_ticks(seed):
    """Ten runs of ten thousand ticks."""
    world = play(seed, 10_000, GuardSettings(overlap=seed % 3, rate_hz=(250.0, 500.0)[seed % 2]))
    assert_inside_of_the_limits(world.signal())
    assert not world.moving()


def test_streamed_positions_keep_the_limits_tick_by_tick():
    """Differences of what is sent, as if each were taken once in order; late ticks skip nothing.

    A controller that takes the newest once a period does otherwise: `test_controller_timing.py`.
    """
    generator = np.random.default_rng(7)
    settings = GuardSettings(rate_hz=500.0)
    world = World(
        settings=settings, chunk_limits=ANYTHING, watchdog_limits=PATIENT, streams_positions=True
    )
    world.guard.arm(world.now)
    position, streamed = READY, []
    for _ in range(2500):
        world.now += world.period_ms * MS * (5 if generator.random() < 0.02 else 1)
        world.guard.hear_joints(world.now, world.now, position)
        world.guard.hear_heartbeat(world.now)
        if generator.random() < 0.03:
            world.guard.offer(
                world.now,
                world.chunk(to_joints(*generator.uniform(LIMITS.lower, LIMITS.upper, (6, 7)))),
            )
        command = world.guard.tick(world.now)
        if command.position is not None:
            position = command.position
            streamed.append(position)
    streamed = np.array(streamed)
    period_s = 1 / settings.rate_hz
    assert len(streamed) > 1000
    assert np.all(np.abs(np.diff(streamed, axis=0)) <= LIMITS.velocity * period_s * (1 + RELATIVE))
    accelerations = np.diff(streamed, n=2, axis=0) / period_s**2
    assert np.all(np.abs(accelerations) <= LIMITS.acceleration * (1 + RELATIVE))
    assert np.all(np.abs(sampled_jerk(streamed, period_s)) <= LIMITS.jerk * (1 + RELATIVE))


def sawtooth(world, seconds=3.0):
    """A steady swing whose chunks are anchored anew five times a second, 20 to 70 mrad off.

    Returns the targets held for their 50 ms at 1 kHz, and the largest lag of the guard.
    """
    generator = np.random.default_rng(3)
    held, lag, steps = [], 0.0, 0
    for _ in range(round(seconds / 0.2)):
        anchors = generator.uniform(0.02, 0.07, 7) * generator.choice([-1, 1], 7)
        phase = 0.05 * np.arange(steps + 1, steps + 9)
        targets = READY + anchors + 0.3 * np.sin(0.8 * phase)[:, None]
        world.offer(to_joints(*targets))
        held.append(np.repeat(targets[:4], 50, axis=0))
        for _ in range(10):
            world.run(0.02)
            lag = max(lag, world.guard.lag_rad)
        steps += 4
    return np.concatenate(held), lag


def test_sawtooth_of_chunks_reaches_the_arm_a_hundred_times_calmer():
    """Peak jerk of the 1 kHz signal: at most the limit, and far below that of held targets."""
    wide = ChunkLimits(max_start_distance_rad=0.4)
    world = World(settings=GuardSettings(skip_elapsed=False), chunk_limits=wide).armed()
    held, lag = sawtooth(world)
    positions = world.signal()[0]
    peak = np.abs(sampled_jerk(positions, 1e-3)).max(axis=0)
    peak_held = np.abs(sampled_jerk(held, 1e-3)).max(axis=0)
    assert np.all(peak <= LIMITS.jerk)
    assert np.all(peak_held >= 100 * peak)
    assert 0.0 < lag < 0.15
    assert not world.guard.refusals
    assert world.guard.phase is GuardPhase.RUNNING


def test_late_command_finds_the_arm_on_its_way_to_rest():
    """The guard is away for 150 ms at speed: the arm brakes by itself, then goes on, smoothly."""
    world = World(watchdog_limits=PATIENT).armed()
    world.offer(swing(0.04, 30))
    world.run(0.6)
    fast = np.abs(world.states[-1][1]).max()
    world.pass_ms(150)
    slow = np.abs(world.states[-1][1]).max()
    world._listen()
    world.tick()
    world.run(0.3)
    assert fast > 0.5
    assert slow < 0.5 * fast
    assert np.abs(world.states[-1][1]).max() > slow
    assert_inside_of_the_limits(world.signal())


def test_arm_comes_to_rest_when_the_guard_dies_at_full_speed():
    """What was sent last ends at rest: within the follow ticks, the transport and the brake."""
    world = World().armed()
    world.offer(swing(0.05, 30))
    world.run(0.8)
    assert np.abs(world.states[-1][1]).max() > 0.85 * LIMITS.velocity[0]
    brake_s = LIMITS.velocity[0] / (0.8 * LIMITS.acceleration[0]) + 0.05
    world.pass_ms(round(1000 * (brake_s + 0.03)))
    assert not world.moving()
    assert_inside_of_the_limits(world.signal())
