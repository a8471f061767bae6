"""Which steps of which chunk an arm executed, from stamps: whole, or incomplete with the reason."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.kinematics import Arm
from smoothvla_ros.workflows.training.executed_chunks import (
    Incomplete,
    SentChunk,
    executed_chunks,
    sampled_motion,
)

DT, START_NS = 0.05, 1_790_000_000 * 10**9
STEP_NS = 50_000_000
REST = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])


def chunk(seq: int, step: float) -> SentChunk:
    """A chunk of 8 actions, each its own number, sent at a control step."""
    actions = 100 * seq + np.arange(8)[:, None] * np.ones(7)
    return SentChunk(START_NS + round(step * STEP_NS), START_NS + seq, 7, seq, DT, actions)


def state(seq: int, step: float, counted: int | None = None) -> tuple[int, int, int, int]:
    return START_NS + round(step * STEP_NS), 7, seq, seq if counted is None else counted


CHUNKS = [chunk(1, 0), chunk(2, 5.1), chunk(3, 9.9)]
STATES = [state(1, 0.2), state(1, 4), state(2, 6), state(3, 11)]


def span(last_step: float) -> tuple[int, int]:
    return START_NS, START_NS + round(last_step * STEP_NS)


def test_each_chunk_counts_until_the_next_was_sent():
    """To the nearest step; the last until the end; actions are those that were in force."""
    found = executed_chunks(CHUNKS, STATES, *span(14.6))
    assert found.executed == (5, 5, 4)
    wanted = [100, 101, 102, 103, 104, 200, 201, 202, 203, 204, 300, 301, 302, 303]
    np.testing.assert_array_equal(found.actions[:, 0], wanted)


def test_the_last_chunk_ends_where_it_has_run_out():
    """The arm stands after that, however late the operator disarms it."""
    assert executed_chunks(CHUNKS, STATES, *span(60)).executed == (5, 5, 8)


def test_a_chunk_that_the_guard_did_not_take_does_not_count():
    """Sent, but never named by the guard; what was taken before goes on."""
    refused = SentChunk(START_NS + 2 * STEP_NS, 0, 6, 9, DT, np.zeros((8, 7)))
    found = executed_chunks([*CHUNKS, refused], STATES, *span(12))
    assert [c.seq for c in found.chunks] == [1, 2, 3]
    assert found.executed == (5, 5, 2)


@pytest.mark.parametrize(
    ('sent', 'states', 'last', 'reason'),
    [
        (CHUNKS, [], 12, 'took no chunk'),
        ([CHUNKS[0], chunk(2, 12)], [state(1, 0.2), state(2, 13)], 15, r'waited 0\.20 s for chunk'),
        (
            CHUNKS,
            [state(1, 0.2), state(2, 6), state(3, 11, 5)],
            12,
            '2 of 5 chunks that the guard took',
        ),
        (CHUNKS, STATES, 11, None),
        ([CHUNKS[0]], [state(1, 0.2)], 1.1, 'two control steps'),
    ],
)
def test_what_cannot_be_known_is_incomplete(sent, states, last, reason):
    """No chunk, a wait, chunks between two states, an episode that was over at once."""
    if reason is None:
        assert executed_chunks(sent, states, *span(last)).executed == (5, 5, 1)
        return
    with pytest.raises(Incomplete, match=reason):
        executed_chunks(sent, states, *span(last))


def motion(seconds: np.ndarray) -> np.ndarray:
    return REST + 0.2 * np.sin(seconds[:, None] + np.arange(7))


def test_the_motion_is_read_at_the_control_steps():
    """Between the samples around each; tool by kinematics; substeps at the samples' own rate."""
    chunks, arm = executed_chunks(CHUNKS, STATES, *span(14.6)), Arm.panda()
    seconds = np.arange(-20, 400) * 0.004 + 0.001
    stamps = START_NS + np.round(seconds * 1e9).astype(np.int64)
    shuffled = np.random.default_rng(0).permutation(len(stamps))
    found = sampled_motion(chunks, stamps[shuffled], motion(seconds)[shuffled], arm)
    at = DT * np.arange(15)
    assert found.steps == 14
    np.testing.assert_allclose(found.joint_positions, motion(at), atol=1e-5)
    np.testing.assert_allclose(
        found.tool_positions[3], arm.tool_pose(found.joint_positions[3])[0], atol=1e-12
    )
    assert found.substep_joint_positions.shape == (14 * 12 + 1, 7)
    assert found.substep_period_s == pytest.approx(DT / 12)


def test_a_slow_policys_motion_has_no_hole_longer_than_a_reading():
    """At 2 Hz the jerk is read between its steps: 0.45 s without joints would be made up."""
    step_ns = 500_000_000
    sent = [SentChunk(START_NS, START_NS, 7, 1, 0.5, np.zeros((8, 7)))]
    chunks = executed_chunks(sent, [(START_NS, 7, 1, 1)], START_NS, START_NS + 4 * step_ns)
    seconds = np.arange(-60, 660) * 0.004
    stamps = START_NS + np.round(seconds * 1e9).astype(np.int64)
    keep = (seconds < 0.75) | (seconds > 1.2)
    holed = (chunks, stamps[keep], motion(seconds)[keep], Arm.panda())
    with pytest.raises(Incomplete, match=r'hole of 0\.46 s'):
        sampled_motion(*holed)
    # The jerk of the commands reads nothing in it.
    assert sampled_motion(*holed, widest_s=np.inf).steps == 4
    # Joints that come seldom have no holes: it is their rate that is refused.
    assert sampled_motion(chunks, stamps[::25], motion(seconds)[::25], Arm.panda()).steps == 4


@pytest.mark.parametrize(
    ('keep', 'reason'),
    [
        (slice(0, 0), 'do not cover it'),
        (slice(0, 100), 'do not cover it'),
        (slice(40, None), 'do not cover it'),
        (np.r_[0:60, 90:420], r'hole of 0\.12 s'),
        (np.r_[0:8, 405:420], r'hole of 1\.59 s'),
        (np.r_[0:8, 100:101, 405:420], r'hole of 1\.22 s'),
    ],
)
def test_a_motion_with_a_hole_is_incomplete(keep, reason):
    """Nothing recorded, too short at either end, and a gap longer than a control step."""
    chunks = executed_chunks(CHUNKS, STATES, *span(14.6))
    seconds = np.arange(-20, 400) * 0.004
    stamps = START_NS + np.round(seconds * 1e9).astype(np.int64)
    with pytest.raises(Incomplete, match=reason):
        sampled_motion(chunks, stamps[keep], motion(seconds)[keep], Arm.panda())
