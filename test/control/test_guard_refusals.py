"""What the guard does with a chunk that it may not follow: nothing moves that did not."""

from __future__ import annotations

import numpy as np
import pytest
from guard_world import (
    MS,
    SECOND_NS,
    START_NS,
    World,
    assert_stops,
    osc_space,
    running,
    swing,
    swing_back,
)

from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.refusals import STOPPING, Refusal

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
    assert world.guard.phase is GuardPhase.ARMED


@pytest.mark.parametrize('refusal', [refusal for refusal in BAD_CHUNKS if refusal in STOPPING])
def test_chunk_that_only_a_broken_policy_sends_stops_the_arm(refusal):
    """In motion too: what it sent before is not trusted either."""
    world = running()
    actions, changes = BAD_CHUNKS[refusal]
    moved = actions.copy()
    if refusal is Refusal.UNREACHABLE:
        moved[0, :7] = world.states[-1][0]
    assert world.offer(moved, **changes) is refusal
    assert world.guard.phase is GuardPhase.STOPPING
    assert_stops(world, GuardPhase.ARMED)


def test_an_observation_of_the_future_is_refused_whenever_the_chunk_was_made():
    """Taken for fresh, it would look so for as long as it is ahead."""
    world = World().armed()
    later = world.now + 30 * MS
    assert world.offer(swing(), observation_stamp_ns=later) is Refusal.FROM_THE_FUTURE


def test_late_chunk_lets_the_motion_go_on():
    """What is being executed remains right."""
    world = running()
    assert world.offer(swing(), stamp_ns=START_NS - SECOND_NS) is Refusal.CHUNK_TOO_OLD
    world.run(0.1)
    assert world.guard.phase is GuardPhase.RUNNING
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
    assert_stops(world, GuardPhase.ARMED)
    restarted = world.chunk(swing_back(world), epoch=2, seq=1)
    assert world.guard.offer(world.now, restarted) is None
    assert (world.guard.epoch, world.guard.seq) == (2, 1)


def test_chunk_without_a_heartbeat_is_refused():
    """Before anything moves."""
    world = World().armed()
    world.hears_heartbeat = False
    world.run(0.6)
    assert world.guard.phase is GuardPhase.ARMED
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
