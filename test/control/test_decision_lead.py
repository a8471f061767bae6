"""The lead of a decision follows what images and inference take."""

from __future__ import annotations

from smoothvla_ros.control.live.decision_lead import DecisionLead

MS = 1_000_000


def lead_of(delays, stamps=(), least=120, most=500):
    lead = DecisionLead(least * MS, most * MS)
    for stamp in stamps:
        lead.observed(stamp * MS)
    for delay in delays:
        lead.answered(1000 * MS, (1000 + delay) * MS)
    return lead.lead_ns / MS


def test_lead_is_what_the_guard_needs_and_every_delay_on_top():
    """120 ms in hand, an image every 50 ms, 60 ms from an image to its chunk."""
    assert lead_of([]) == 120
    assert lead_of([60], stamps=(0, 50, 100)) == 120 + 50 + 60


def test_largest_of_the_last_ones_counts_and_older_ones_are_forgotten():
    """A slow first inference raises the lead for as long as it is one of the last eight."""
    assert lead_of([400, *[60] * 7], most=1000) == 520
    assert lead_of([400, *[60] * 8], most=1000) == 180


def test_lead_stays_in_its_range():
    """Never above the largest, even where that is below what the guard needs."""
    assert lead_of([900]) == 500
    assert lead_of([60], most=100) == 100


def test_lost_image_and_repeated_one():
    """The gap counts; the same stamp twice, and a clock that went back, are no interval."""
    assert lead_of([], stamps=(0, 50, 150, 150)) == 220
    assert lead_of([], stamps=(100, 0, 50)) == 170
