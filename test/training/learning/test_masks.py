"""Which tokens count."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.training.learning.masks import executed_mask, token_advantages


def test_the_rest_of_a_chunk_after_success_does_not_count():
    """A chunk of 4 cut after 1 step: one step of valid tokens, in every dimension."""
    mask = executed_mask([4, 1], chunk=4, dimension=3)
    assert mask.shape == (2, 4, 3)
    assert mask[0].all()
    np.testing.assert_array_equal(mask[1].all(axis=1), [True, False, False, False])
    np.testing.assert_array_equal(mask[1].any(axis=1), [True, False, False, False])


@pytest.mark.parametrize('executed', [[-1], [5]])
def test_impossible_counts_are_refused(executed):
    """More steps than a chunk holds would be a broken record, not a long chunk."""
    with pytest.raises(ValueError, match='between 0 and 4'):
        executed_mask(executed, chunk=4, dimension=1)


def test_advantages_follow_the_executed_steps():
    """Step t of the rollout is step t of its chunks laid end to end; the rest is zero."""
    laid_out = token_advantages(np.array([1.0, 2.0, 3.0]), [2, 1], chunk=2, dimension=2)
    np.testing.assert_array_equal(laid_out[:, :, 0], [[1.0, 2.0], [3.0, 0.0]])
    np.testing.assert_array_equal(laid_out[:, :, 0], laid_out[:, :, 1])


def test_translation_rotation_and_gripper_have_advantages_of_their_own():
    """Three columns: to x, y, z, to the three turns, and to the last number of an action."""
    parts = np.array([[1.0, 10.0, -1.0], [2.0, 20.0, -2.0], [3.0, 30.0, -3.0]])
    laid_out = token_advantages(parts, [2, 1], chunk=2, dimension=7)
    first = np.array([[1.0, 2.0], [3.0, 0.0]])
    for token, factor in enumerate([1, 1, 1, 10, 10, 10, -1]):
        np.testing.assert_array_equal(laid_out[:, :, token], factor * first)


@pytest.mark.parametrize('parts', [1, 2, 4])
def test_other_parts_than_three_are_refused(parts):
    """Two columns were once motion and gripper: nobody guesses which of three are meant."""
    with pytest.raises(ValueError, match='expected'):
        token_advantages(np.ones((3, parts)), [2, 1], chunk=2, dimension=7)


def test_advantages_must_fill_the_executed_steps():
    """A rollout whose chunks and motion disagree is refused."""
    with pytest.raises(ValueError, match='do not fill'):
        token_advantages(np.ones(4), [2, 1], chunk=2, dimension=2)
