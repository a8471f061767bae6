"""The monitor's rows of the lock-step transition table."""

from __future__ import annotations

from smoothvla_ros.control.lock_step.protocol import EpisodePhase, EpisodeState
from smoothvla_ros.control.monitoring.episode_samples import Begun, Closed, EpisodeSamples, Sample

RUNNING = EpisodeState('robot_0', 'e0', 0, EpisodePhase.RUNNING, first_stamp_ns=10)
FINISHED = EpisodeState('robot_0', 'e0', 0, EpisodePhase.FINISHED, 10, last_stamp_ns=13, samples=4)


def feed(samples, stamps):
    return [event for stamp in stamps for event in samples.add(stamp, stamp)]


def closed(events):
    return [event.missing for event in events if isinstance(event, Closed)]


def test_episode_closes_after_its_last_sample():
    """The announcement may overtake the samples; the numbers wait for the last one."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11])
    assert closed(samples.announce(FINISHED)) == []
    assert closed(feed(samples, [12])) == []
    assert closed(feed(samples, [13])) == [0]


def test_last_sample_may_come_before_the_announcement():
    """Then the announcement closes the episode."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11, 12, 13])
    assert closed(samples.announce(FINISHED)) == [0]


def test_early_samples_belong_to_the_episode_that_begins_with_them():
    """Samples from before the announcement are kept, those from before the episode are not."""
    samples = EpisodeSamples()
    feed(samples, [8, 10, 11])
    events = samples.announce(RUNNING)
    assert isinstance(events[0], Begun)
    assert [event.stamp_ns for event in events[1:] if isinstance(event, Sample)] == [10, 11]


def test_missing_sample_is_counted():
    """The number of samples that were sent is known: what did not come is missing."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 12, 13])
    assert closed(samples.announce(FINISHED)) == [1]


def test_repeated_sample_counts_once():
    """An observation that is sent again repeats its last joint sample."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11, 11, 12, 13])
    assert closed(samples.announce(FINISHED)) == [0]


NEXT = EpisodeState('robot_0', 'e1', 0, EpisodePhase.RUNNING, 50)


def test_lost_end_is_reported_when_the_next_episode_begins():
    """An episode whose last sample never comes still closes, with what is missing."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11])
    samples.announce(FINISHED)
    assert samples.announce(NEXT) == []
    events = samples.add(50, None)
    assert closed(events) == [2]
    assert events[1:] == [Begun(NEXT), Sample(NEXT, 50, None)]


def test_next_announcement_does_not_cut_an_episode_short():
    """Two announcements may overtake the last samples of the first: those still count."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11])
    samples.announce(FINISHED)
    samples.announce(NEXT)
    events = feed(samples, [12, 13])
    assert closed(events) == [0]
    assert events[-1] == Begun(NEXT)


def test_aborted_episode_has_no_numbers():
    """Its samples count for nothing."""
    samples = EpisodeSamples()
    samples.announce(RUNNING)
    feed(samples, [10, 11])
    assert samples.announce(EpisodeState('robot_0', 'e0', 0, EpisodePhase.ABORTED)) == []
    assert closed(samples.announce(FINISHED)) == []
