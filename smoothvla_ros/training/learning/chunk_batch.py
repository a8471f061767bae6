"""Rollouts laid out as one batch of chunks, in the same order whoever finished first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.records import Episode, Observation
from smoothvla_ros.simulation.splits import require_train
from smoothvla_ros.training.learning.masks import executed_mask, token_advantages


@dataclass(frozen=True)
class ReferenceCourse:
    """Where the starting policy expects a batch's chunks to lead.

    expected_actions: float32 [B, chunk, dimension].
    rest: the displacement of a chunk below which the whole batch counts it as rest.
    """

    expected_actions: np.ndarray
    rest: float

    def take(self, rows: np.ndarray) -> ReferenceCourse:
        """Return the given rows."""
        return ReferenceCourse(self.expected_actions[rows], self.rest)


@dataclass(frozen=True)
class ReferenceAnswers:
    """What the starting policy thinks of a batch's chunks.

    log_probs: float32, of the batch's tokens, [B, chunk, dimension].
    course: None where nothing holds the policy to where these chunks lead.
    """

    log_probs: np.ndarray
    course: ReferenceCourse | None

    def take(self, rows: np.ndarray) -> ReferenceAnswers:
        """Return the given rows."""
        course = self.course.take(rows) if self.course is not None else None
        return ReferenceAnswers(self.log_probs[rows], course)


@dataclass(frozen=True)
class ChunkBatch:
    """B chunks with everything that the loss needs.

    tokens: int64 [B, chunk, dimension].  log_probs: float32, of `act`, at `temperature`.
    advantages: float32.  mask: bool.  All [B, chunk, dimension].
    reference: None where nothing is compared with the starting policy.
    """

    observations: list[Observation]
    tokens: np.ndarray
    log_probs: np.ndarray
    advantages: np.ndarray
    mask: np.ndarray
    temperature: float
    reference: ReferenceAnswers | None = None

    def __len__(self) -> int:
        return len(self.observations)

    @property
    def valid_tokens(self) -> int:
        """Number of tokens that were executed."""
        return int(self.mask.sum())

    def take(self, rows: np.ndarray) -> ChunkBatch:
        """Return the given rows as a batch of their own."""
        return ChunkBatch(
            [self.observations[row] for row in rows],
            self.tokens[rows],
            self.log_probs[rows],
            self.advantages[rows],
            self.mask[rows],
            self.temperature,
            self.reference.take(rows) if self.reference is not None else None,
        )


def chunk_batch(
    episodes: Sequence[Episode], advantages: Sequence[np.ndarray], temperature: float
) -> ChunkBatch:
    """Lay out rollouts, sorted by episode id, chunk after chunk.

    advantages: one array a rollout, as `token_advantages` takes it.  Chunks that ran no step are
    left out.  Raises ValueError if a rollout's chunks and advantages do not fit, or there is none,
    UserError if one began in a held-out scene: nothing is learned but through here.
    """
    for episode in episodes:
        require_train(episode.request.name)
    order = sorted(range(len(episodes)), key=lambda index: episodes[index].request.episode_id)
    observations: list[Observation] = []
    tokens, log_probs, laid_out, masks = [], [], [], []
    for index in order:
        chunks = [chunk for chunk in episodes[index].chunks if chunk.executed > 0]
        executed = [chunk.executed for chunk in chunks]
        length, dimension = chunks[0].tokens.shape
        observations += [chunk.observation for chunk in chunks]
        tokens += [chunk.tokens for chunk in chunks]
        log_probs += [chunk.log_probs for chunk in chunks]
        laid_out.append(token_advantages(advantages[index], executed, length, dimension))
        masks.append(executed_mask(executed, length, dimension))
    if not observations:
        raise ValueError('no rollouts to learn from')
    return ChunkBatch(
        observations,
        np.stack(tokens).astype(np.int64),
        np.stack(log_probs).astype(np.float32),
        np.concatenate(laid_out),
        np.concatenate(masks),
        temperature,
    )
