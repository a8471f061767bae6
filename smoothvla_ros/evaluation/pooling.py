"""Several training seeds pooled: what holds of the method, not of one of its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smoothvla_ros.evaluation.bootstrap import (
    REPLICATES,
    paired_change_percent,
    paired_difference,
)
from smoothvla_ros.evaluation.pairing import Pair, Pairing
from smoothvla_ros.evaluation.statistics import Interval

Level = tuple[int, tuple[str, int], int, int]


def pooled_change_percent(
    pairings: Mapping[int, Pairing], column: str, *, seed: int, replicates: int = REPLICATES
) -> Interval | None:
    """Paired change of a column's mean over all solved pairs, percent; None without any.

    pairings: training seed -> its pairs, of any suites. The interval is a hierarchical bootstrap
    over training seeds, tasks, init states and the scenes of an init state.
    """
    members = [
        (training_seed, pair)
        for training_seed, pairing in sorted(pairings.items())
        for pair in pairing.solved
        if np.isfinite(pair.measure(column)).all()
    ]
    if not members:
        return None
    values = np.array([pair.measure(column) for _, pair in members])
    return paired_change_percent(
        values[:, 0], values[:, 1], seed=seed, levels=_levels(members), replicates=replicates
    )


def pooled_success_change(
    pairings: Mapping[int, Pairing], *, seed: int, replicates: int = REPLICATES
) -> Interval | None:
    """Success after minus before over all pairs, in [-1, 1]; otherwise as above."""
    members = [
        (training_seed, pair)
        for training_seed, pairing in sorted(pairings.items())
        for pair in pairing.pairs
    ]
    if not members:
        return None
    rates = np.array([pair.success() for _, pair in members])
    return paired_difference(
        rates[:, 0], rates[:, 1], seed=seed, levels=_levels(members), replicates=replicates
    )


def _levels(members: Sequence[tuple[int, Pair]]) -> list[Level]:
    return [
        (
            training_seed,
            (pair.name.suite, pair.name.task),
            pair.name.init_state,
            pair.name.scene_seed,
        )
        for training_seed, pair in members
    ]
