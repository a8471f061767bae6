"""Which tokens of a batch of chunks count, and with what advantage: pure functions of arrays.

A rollout begins after the settle steps, so these never enter. Its last chunk is cut at first
success or at the horizon: the steps behind the cut were sampled but never executed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.libero import ROTATION


def executed_mask(executed: Sequence[int], chunk: int, dimension: int) -> np.ndarray:
    """Mark the tokens of executed steps.

    executed: [B] steps that ran of each chunk, 0 to `chunk`.  Returns bool [B, chunk, dimension].
    Raises ValueError for a number outside that range.
    """
    counts = np.asarray(executed, dtype=np.int64)
    if counts.size and (counts.min() < 0 or counts.max() > chunk):
        raise ValueError(f'executed steps {counts.tolist()} must lie between 0 and {chunk}')
    steps = np.arange(chunk) < counts[:, None]
    return np.repeat(steps[:, :, None], dimension, axis=2)


def token_advantages(
    step_advantages: np.ndarray, executed: Sequence[int], chunk: int, dimension: int
) -> np.ndarray:
    """Lay a rollout's advantages a step over the tokens of its chunks.

    step_advantages: [T], T the sum of `executed` [B], or [T, 3]: of translation, rotation and
    gripper. The gripper's is the last number of an action, of whatever space; the turning of the
    tool lies where LIBERO has it, so that in another space the first two must be the same.
    Returns float32 [B, chunk, dimension], zero where `executed_mask` is false.  Raises ValueError
    if the steps do not add up or there are other parts.
    """
    if sum(executed) != len(step_advantages):
        raise ValueError(f'{len(step_advantages)} steps do not fill chunks of {list(executed)}')
    laid_out = np.zeros((len(executed), chunk, dimension), dtype=np.float32)
    steps = executed_mask(executed, chunk, 1)[:, :, 0]
    parts = np.asarray(step_advantages, dtype=np.float32)
    if parts.ndim == 1:
        parts = np.repeat(parts[:, None], 3, axis=1)
    if parts.shape[1:] != (3,):
        raise ValueError(f'step advantages have shape {parts.shape}, expected [T] or [T, 3]')
    translation, rotation, gripper = parts.T
    by_token = np.repeat(translation[:, None], dimension, axis=1)
    by_token[:, ROTATION] = rotation[:, None]
    by_token[:, -1] = gripper
    laid_out[steps] = by_token
    return laid_out
