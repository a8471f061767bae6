"""Which rows share a forward pass."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothvla_ros.training.learning.micro_batches import micro_batches, share


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(1, 9),
    st.integers(0, 200),
)
def test_every_row_once_within_the_budget(lengths, most_rows, most_tokens):
    """No pass pads, or holds more than it may, unless it is a single row; the longest first."""
    passes = micro_batches(lengths, len(lengths), most_rows, most_tokens)
    assert sorted(np.concatenate(passes).tolist()) == list(range(len(lengths)))
    for rows in passes:
        assert len({lengths[row] for row in rows}) == 1
        assert len(rows) <= most_rows
        assert len(rows) == 1 or not most_tokens or sum(lengths[r] for r in rows) <= most_tokens
    firsts = [lengths[rows[0]] for rows in passes]
    assert firsts == sorted(firsts, reverse=True)


def test_rows_of_one_length_come_together():
    """Two prompts in turn, in full passes; rows of one length keep their order."""
    passes = micro_batches([30, 40] * 4, 8, most_rows=3)
    assert [rows.tolist() for rows in passes] == [[1, 3, 5], [7], [0, 2, 4], [6]]


def test_rows_that_are_alike_keep_their_order():
    """A policy that counts no tokens has the passes it always had."""
    assert [rows.tolist() for rows in micro_batches(None, 5, 2)] == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize(('passes', 'size'), [(5, 2), (4, 2), (1, 3), (3, 1)])
def test_all_processes_run_the_same_number_and_every_pass_counts_once(passes, size):
    """Who has one less runs one that does not count."""
    given_out = [share([np.array([i]) for i in range(passes)], rank, size) for rank in range(size)]
    assert len({len(own) for own in given_out}) == 1
    counted = [int(rows[0]) for own in given_out for rows, counts in own if counts]
    assert sorted(counted) == list(range(passes))
