"""Several recordings side by side: how the jerk changed against the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smoothvla_ros.evaluation.bags.analysis import BagAnalysis
from smoothvla_ros.evaluation.bags.segments import Segment
from smoothvla_ros.evaluation.intervals.bootstrap import (
    LEAST_OBSERVATIONS,
    NARROW_BELOW,
    paired_change_percent,
)
from smoothvla_ros.evaluation.intervals.rates import Interval

_SEED = 0


@dataclass(frozen=True)
class SharedMeasure:
    """A mean jerk that recordings share.

    part: 0 for the tool's translation, 1 for its rotation, None for the joint called `name`.
    """

    name: str
    unit: str
    part: int | None = None

    def of_bag(self, analysis: BagAnalysis) -> float:
        """Return the mean over a whole recording."""
        return self._of(analysis.names, analysis.joints, analysis.tool)

    def of_segment(self, analysis: BagAnalysis, segment: Segment) -> float:
        """Return the mean over one of its segments."""
        return self._of(analysis.names, segment.joints, segment.tool)

    def _of(
        self,
        names: Sequence[str],
        joints: Sequence[dict[str, float]],
        tool: Sequence[dict[str, float]] | None,
    ) -> float:
        if self.part is not None and tool is not None:
            return tool[self.part]['mean']
        return joints[names.index(self.name)]['mean']


@dataclass(frozen=True)
class Comparison:
    """How one recording's mean jerk changed against the first, in percent.

    pairs: segments that were paired in order; 0 where the recordings have not the same number.
    changes: measure -> change of the whole recording's mean.
    intervals: measure -> paired change over the segments with its interval; empty without pairs.
    why: what stands against comparing, or against pairing; '' for nothing.
    """

    before: str
    after: str
    pairs: int
    changes: dict[str, float]
    intervals: dict[str, Interval]
    why: str

    @property
    def narrow(self) -> bool:
        """Whether it has intervals, over so few pairs that they are somewhat narrow."""
        return 0 < self.pairs < NARROW_BELOW

    def as_json(self) -> dict[str, Any]:
        """Return the entry of `comparisons` in the file that `--json` writes."""
        return {
            'before': self.before,
            'after': self.after,
            'pairs': self.pairs,
            'change_percent': self.changes,
            'paired_change_percent': {
                name: {'mean': interval.mean, 'low': interval.low, 'high': interval.high}
                for name, interval in self.intervals.items()
            },
            'why': self.why,
        }


def measures(analyses: Sequence[BagAnalysis]) -> list[SharedMeasure]:
    """Return the means that all of the recordings have: of the tool, then joint by joint."""
    shared = [
        SharedMeasure(name, analyses[0].robot.unit(name))
        for name in analyses[0].names
        if all(name in analysis.names for analysis in analyses)
    ]
    if any(analysis.tool is None for analysis in analyses):
        return shared
    return [
        SharedMeasure('tool', 'm/s^3', 0),
        SharedMeasure('tool rotation', 'rad/s^3', 1),
        *shared,
    ]


def compare(analyses: Sequence[BagAnalysis]) -> list[Comparison]:
    """Compare every recording with the first."""
    first, *others = analyses
    return [_comparison(first, other, measures(analyses)) for other in others]


def _comparison(
    before: BagAnalysis, after: BagAnalysis, known: Sequence[SharedMeasure]
) -> Comparison:
    why = []
    if before.estimator != after.estimator:
        why.append(
            f'sampled at {before.estimator.rate_hz:g} and {after.estimator.rate_hz:g} Hz, and jerk '
            'compares only at equal rate'
        )
    pairs = len(before.segments)
    if not known:
        why.append('they have no joint in common')
        pairs = 0
    elif pairs != len(after.segments):
        why.append(f'{pairs} and {len(after.segments)} segments cannot be paired')
        pairs = 0
    elif pairs < LEAST_OBSERVATIONS:
        why.append(f'{pairs} segments are too few to pair, {LEAST_OBSERVATIONS} are needed')
        pairs = 0
    changes, intervals = {}, {}
    for measure in known:
        first = measure.of_bag(before)
        if first > 0:
            changes[measure.name] = 100.0 * (measure.of_bag(after) / first - 1.0)
        earlier = [measure.of_segment(before, segment) for segment in before.segments]
        if pairs and sum(earlier) > 0:
            later = [measure.of_segment(after, segment) for segment in after.segments]
            intervals[measure.name] = paired_change_percent(earlier, later, seed=_SEED)
    return Comparison(
        str(before.path_given), str(after.path_given), pairs, changes, intervals, '; '.join(why)
    )
