"""Temporal ensembling: several chunks speak about the same instant, and their mean is executed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.configuration import setting, validate


@dataclass(frozen=True)
class TemporalEnsembleSettings:
    """How often the policy is asked and how much an older answer counts."""

    decay: float = setting(
        0.01, 'The answer of i-th age, the oldest first, weighs exp(-decay * i)', minimum=0.0
    )
    stride: int = setting(1, 'Steps that are executed before the policy is asked again', minimum=1)

    def __post_init__(self) -> None:
        validate(self, 'temporal_ensemble')


class TemporalEnsemble:
    """The weighted mean of all chunks that reach to a step (Zhao et al. 2023, ACT, algorithm 2).

    The gripper is taken from the newest chunk: a mean of open and closed is neither.
    """

    def __init__(self, settings: TemporalEnsembleSettings) -> None:
        """Remember no chunk."""
        self._settings = settings
        # The newest last; each is cut to what still lies ahead.
        self._ahead: list[np.ndarray] = []

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Return the next `stride` steps, fewer where a chunk is shorter."""
        newest = np.array(actions, dtype=np.float64)
        steps = min(self._settings.stride, len(newest))
        self._ahead.append(newest)
        executed = np.stack([self._mean(step) for step in range(steps)])
        self._ahead = [chunk[steps:] for chunk in self._ahead if len(chunk) > steps]
        return executed

    def _mean(self, step: int) -> np.ndarray:
        spoken = np.stack([chunk[step] for chunk in self._ahead if len(chunk) > step])
        weights = np.exp(-self._settings.decay * np.arange(len(spoken)))
        mean = weights @ spoken / weights.sum()
        mean[-1] = self._ahead[-1][step, -1]
        return mean
