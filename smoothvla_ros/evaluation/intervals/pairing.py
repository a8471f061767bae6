"""Two policies on the same episodes: jerk is compared only where both succeed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.evaluation.intervals.bootstrap import (
    LEAST_OBSERVATIONS,
    REPLICATES,
    paired_change_percent,
    paired_difference,
)
from smoothvla_ros.evaluation.intervals.init_states import (
    InitState,
    count_init_states,
    design_effect,
    drawn_levels,
    init_state_of,
)
from smoothvla_ros.evaluation.intervals.rates import (
    Interval,
    PairedCounts,
    mcnemar,
    mcnemar_of_groups,
    success_difference,
    wider,
)
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.smoothness import EstimatorSettings


@dataclass(frozen=True)
class Pair:
    """The episodes of two policies from the same scene: one each when greedy, more if sampled."""

    name: EpisodeName
    before: tuple[EpisodeRow, ...]
    after: tuple[EpisodeRow, ...]

    @property
    def solved(self) -> bool:
        """Whether both policies succeeded at least once."""
        return any(row.success for row in self.before) and any(row.success for row in self.after)

    def success(self) -> tuple[float, float]:
        """Success rates before and after."""
        return _mean(row.success for row in self.before), _mean(row.success for row in self.after)

    def measure(self, column: str) -> tuple[float, float]:
        """Means of a column over each policy's successes."""
        return (
            _mean(getattr(row, column) for row in self.before if row.success),
            _mean(getattr(row, column) for row in self.after if row.success),
        )


@dataclass(frozen=True)
class Pairing:
    """All scenes that both policies were run from, in the order of their names."""

    pairs: tuple[Pair, ...]

    @property
    def solved(self) -> tuple[Pair, ...]:
        """The pairs on which smoothness may be compared."""
        return tuple(pair for pair in self.pairs if pair.solved)

    @property
    def share(self) -> float:
        """Share of the common scenes that both policies solve; NaN without common scenes."""
        return len(self.solved) / len(self.pairs) if self.pairs else float('nan')

    def measured(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a column before and after, [n] each, over the solved pairs where it exists."""
        values = np.array([pair.measure(column) for pair in self._measured(column)]).reshape(-1, 2)
        return values[:, 0], values[:, 1]

    @property
    def init_states(self) -> int:
        """How many init states the solved pairs have: what the intervals of measures draw."""
        return count_init_states([pair.name for pair in self.solved])

    def mcnemar(self) -> float:
        """Exact p-value that both policies solve equally many scenes, at least once each."""
        counts, changes = self.outcomes(), dict[InitState, int]()
        for pair in self.pairs:
            before, after = (rate > 0.0 for rate in pair.success())
            state = init_state_of(pair.name)
            changes[state] = changes.get(state, 0) + after - before
        if len(changes) == len(self.pairs):
            return mcnemar(counts)
        return mcnemar_of_groups(list(changes.values()))

    def outcomes(self) -> PairedCounts:
        """Count the scenes by who solved them at least once."""
        rates = np.array([pair.success() for pair in self.pairs]).reshape(-1, 2)
        return PairedCounts.of(rates[:, 0] > 0.0, rates[:, 1] > 0.0)

    def change_percent(
        self, column: str, seed: int, replicates: int = REPLICATES
    ) -> Interval | None:
        """Paired change of a column's mean, in percent; None without solved pairs.

        Ends of NaN where the init states are too few for an interval.
        """
        before, after = self.measured(column)
        names = [pair.name for pair in self._measured(column)]
        if len(before) == 0 or before.mean() == 0.0:
            return None
        if count_init_states(names) < LEAST_OBSERVATIONS:
            return Interval.unknown(100.0 * float(after.mean() / before.mean() - 1.0))
        return paired_change_percent(
            before, after, seed=seed, levels=drawn_levels(names), replicates=replicates
        )

    def difference(self, column: str, seed: int, replicates: int = REPLICATES) -> Interval | None:
        """Paired change of a column's mean, in its unit; None and NaN as in `change_percent`."""
        before, after = self.measured(column)
        names = [pair.name for pair in self._measured(column)]
        if len(before) == 0:
            return None
        if count_init_states(names) < LEAST_OBSERVATIONS:
            return Interval.unknown(float((after - before).mean()))
        return paired_difference(
            before, after, seed=seed, levels=drawn_levels(names), replicates=replicates
        )

    def representative(self, column: str) -> Pair | None:
        """Return the solved pair whose change of a column is the median one: no cherry-picking."""
        pairs = self._measured(column)
        if not pairs:
            return None
        ranked = sorted(pairs, key=lambda pair: (_ratio(*pair.measure(column)), pair.name))
        return ranked[(len(ranked) - 1) // 2]

    def of_task(self, task: int) -> Pairing:
        """Return the pairs of one task."""
        return Pairing(tuple(pair for pair in self.pairs if pair.name.task == task))

    def success_change(self, seed: int, replicates: int = REPLICATES) -> Interval | None:
        """Success after minus before on the same scenes, in [-1, 1]; None without pairs.

        Newcombe's paired interval where each policy ran an init state once. With repeats the wider
        of two: the bootstrap over init states has no width where nearly all succeed, and of
        Newcombe's, of the rollouts of a scene in their order, how alike those of an init state are
        can only be estimated.
        """
        if not self.pairs:
            return None
        # Where one policy has more rollouts of a scene, the rest is left to the bootstrap.
        rollouts = [
            (pair.name, before.success, after.success)
            for pair in self.pairs
            for before, after in zip(pair.before, pair.after, strict=False)
        ]
        names = [name for name, _, _ in rollouts]
        outcomes = np.array([success for _, *success in rollouts], np.int64)
        effect = design_effect(outcomes[:, 1] - outcomes[:, 0], names, (-1.0, 1.0))
        newcombe = success_difference(PairedCounts.of(outcomes[:, 0], outcomes[:, 1]), effect)
        scenes = [pair.name for pair in self.pairs]
        once = all(len(pair.before) == len(pair.after) == 1 for pair in self.pairs)
        if once and count_init_states(scenes) == len(scenes):
            return newcombe
        rates = np.array([pair.success() for pair in self.pairs])
        drawn = paired_difference(
            rates[:, 0],
            rates[:, 1],
            seed=seed,
            levels=drawn_levels(scenes),
            replicates=replicates,
        )
        return wider(drawn, newcombe)

    def _measured(self, column: str) -> list[Pair]:
        return [pair for pair in self.solved if np.isfinite(pair.measure(column)).all()]


def pair_rows(before: Sequence[EpisodeRow], after: Sequence[EpisodeRow]) -> Pairing:
    """Match the rows of two policies by the scene they started from.

    Raises UserError for mixed estimator settings or mixed sampling temperatures: neither compares.
    """
    common_estimator([*before, *after])
    common_temperature([*before, *after])
    first, second = _by_name(before), _by_name(after)
    return Pairing(
        tuple(
            Pair(name, tuple(first[name]), tuple(second[name]))
            for name in sorted(set(first) & set(second))
        )
    )


def common_estimator(rows: Sequence[EpisodeRow]) -> EstimatorSettings | None:
    """Return the estimator of all rows, None without rows; UserError if there are several."""
    settings = {(row.rate_hz, row.window_s, row.order): row.estimator for row in rows}
    if len(settings) > 1:
        raise UserError(
            'jerk measured with different estimators (rate Hz, window s, order) '
            f'{sorted(settings)} does not compare; use `smoothvla report` on the runs first'
        )
    return next(iter(settings.values()), None)


def common_temperature(rows: Sequence[EpisodeRow]) -> float | None:
    """Return the temperature of all rows, None without rows; UserError if there are several."""
    temperatures = sorted({row.temperature for row in rows})
    if len(temperatures) > 1:
        raise UserError(
            f'episodes sampled at temperatures {temperatures} do not compare; take one at a time'
        )
    return next(iter(temperatures), None)


def _by_name(rows: Sequence[EpisodeRow]) -> dict[EpisodeName, list[EpisodeRow]]:
    groups: dict[EpisodeName, list[EpisodeRow]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.episode_id):
        groups[row.name].append(row)
    return groups


def _ratio(before: float, after: float) -> float:
    return after / before if before else float('inf')


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
