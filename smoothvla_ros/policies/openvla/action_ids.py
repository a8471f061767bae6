"""The last tokens of the vocabulary as actions: 256 ids, 255 different actions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ActionIds:
    """Token t in [0, bins) is the id `vocabulary` - 1 - t; ids fall as actions rise.

    vocabulary: size of the tokeniser (32000), without the padding of the embedding.
    bins: edges spread evenly over [-1, 1], both ends included. Training data is put between edges,
    so that there are bins - 1 centres, and an action of exactly 1 gets an id of its own beyond
    them: the last two tokens stand for the same action.
    """

    vocabulary: int = 32000
    bins: int = 256

    @property
    def ids(self) -> np.ndarray:
        """Return int64 [bins], the id of each token, in the order of the actions."""
        return self.vocabulary - 1 - np.arange(self.bins)

    @property
    def centres(self) -> np.ndarray:
        """Return float64 [bins], the normalised action of each token."""
        edges = np.linspace(-1.0, 1.0, self.bins)
        centres = (edges[:-1] + edges[1:]) / 2.0
        return np.append(centres, centres[-1])

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Return int64 tokens of normalised actions; beyond [-1, 1] they are clipped."""
        edges = np.linspace(-1.0, 1.0, self.bins)
        return np.digitize(np.clip(actions, -1.0, 1.0), edges).astype(np.int64) - 1

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Return float64 normalised actions.  Raises ValueError for a token that is none."""
        tokens = np.asarray(tokens)
        if tokens.size and (tokens.min() < 0 or tokens.max() >= self.bins):
            raise ValueError(f'action tokens must lie in [0, {self.bins})')
        return self.centres[tokens]
