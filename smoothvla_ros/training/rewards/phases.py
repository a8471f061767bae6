"""Rollouts of different length, read at the same phase of their motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Profile:
    """One number for each of a rollout's n consecutive blocks.

    values: [n].  lengths: [n] control steps of each, at least 1: a block of none has no phase.
    The phase of a block is where its middle lies in the rollout, between 0 and 1.
    """

    values: np.ndarray
    lengths: tuple[int, ...]

    @classmethod
    def means(cls, per_step: np.ndarray, lengths: Sequence[int]) -> Profile:
        """Average each block of a rollout's steps [T].

        Raises ValueError if the lengths do not add up to T, or one is none.
        """
        if min(lengths, default=1) < 1:
            raise ValueError(f'blocks of {list(lengths)} steps: each needs one at least')
        if sum(lengths) != len(per_step):
            raise ValueError(f'blocks of {list(lengths)} do not fill {len(per_step)} steps')
        ends = np.cumsum(lengths)
        totals = np.diff(np.concatenate([[0.0], np.cumsum(per_step)])[[0, *ends]])
        return cls(totals / np.asarray(lengths), tuple(lengths))

    @property
    def phases(self) -> np.ndarray:
        """Where the middle of each block lies, [n]."""
        ends = np.cumsum(self.lengths)
        return (ends - np.asarray(self.lengths) / 2.0) / ends[-1]

    def with_values(self, values: np.ndarray) -> Profile:
        """Return other numbers for the same blocks."""
        return Profile(values, self.lengths)

    def at(self, phases: np.ndarray) -> np.ndarray:
        """Read the values at other phases, by linear interpolation between those of the blocks."""
        return np.interp(phases, self.phases, self.values)


def mean_at(profiles: Sequence[Profile], phases: np.ndarray) -> np.ndarray:
    """Return the mean of several rollouts at the given phases."""
    return np.mean([profile.at(phases) for profile in profiles], axis=0)
