"""Episodes of a real arm by its guard's states, and their labels."""

from __future__ import annotations

import pytest

from smoothvla_ros.control.live.episode_keeper import EpisodeKeeper
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.errors import UserError

START_NS = 1_790_000_000 * 10**9


def played(keeper: EpisodeKeeper, phases, start_ns: int = START_NS):
    """Return the episodes that a row of states, a second apart, ends."""
    found = [keeper.guard_is(phase, start_ns + i * 10**9) for i, phase in enumerate(phases)]
    return [episode for episode in found if episode is not None]


def test_an_episode_lies_between_the_first_chunk_and_the_end_of_arming():
    """From RUNNING until it stopped running; arming alone is none, a pause between is none."""
    armed, running, stopping = GuardPhase.ARMED, GuardPhase.RUNNING, GuardPhase.STOPPING
    (episode,) = played(
        EpisodeKeeper('robot_0'),
        [armed, armed, running, stopping, armed, running, stopping, GuardPhase.DISARMED, armed],
    )
    assert episode.first_ns == START_NS + 2 * 10**9
    assert episode.last_ns == START_NS + 6 * 10**9
    assert episode.episode_id == 'robot_0-2026-09-21T14-13-22.000'
    assert episode.outcome == ''


def test_a_fault_ends_an_episode_and_the_next_one_has_another_name():
    """What the guard stopped is an episode too; arming again begins another."""
    keeper = EpisodeKeeper('robot_0')
    (first,) = played(keeper, [GuardPhase.RUNNING, GuardPhase.FAULTED])
    (second,) = played(keeper, [GuardPhase.RUNNING, GuardPhase.DISARMED], START_NS + 10**10)
    assert first.episode_id < second.episode_id


def test_the_last_or_a_named_episode_is_labelled():
    """The label may be changed; nothing is labelled that has not ended."""
    keeper = EpisodeKeeper('robot_0')
    with pytest.raises(UserError, match='no episode has ended yet'):
        keeper.label('success')
    (first,) = played(keeper, [GuardPhase.RUNNING, GuardPhase.DISARMED])
    (second,) = played(keeper, [GuardPhase.RUNNING, GuardPhase.DISARMED], START_NS + 10**10)
    assert keeper.label('success').episode_id == second.episode_id
    assert keeper.label('discard').outcome == 'discard'
    assert keeper.label('failure', first.episode_id).episode_id == first.episode_id
    with pytest.raises(UserError, match="outcome 'good' is unknown; choose from success, failure"):
        keeper.label('good')
    with pytest.raises(UserError, match="no episode 'e9' has ended; the last is robot_0"):
        keeper.label('success', 'e9')
