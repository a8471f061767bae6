"""Every figure of the benchmark: what a method does, and how it differs from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from smoothvla_ros.evaluation.benchmark.matrix import SceneKey
from smoothvla_ros.evaluation.benchmark.scene_bootstrap import SceneBootstrap
from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.evaluation.episodes.measures import MEASURES, EpisodeMeasure
from smoothvla_ros.evaluation.intervals.rates import (
    Interval,
    PairedCounts,
    bounds,
    success_difference,
    wider,
    wilson,
)

_COLUMNS = (
    'jerk',
    'rms_jerk',
    'angular_jerk',
    'substep_jerk',
    'pace_free_jerk',
    'ldlj',
    'sparc',
    'steps',
    'mean_speed',
    'negative_log_prob',
)
COMPARED: tuple[EpisodeMeasure, ...] = tuple(
    next(measure for measure in MEASURES if measure.column == column) for column in _COLUMNS
)

Episodes = Mapping[SceneKey, EpisodeRow]


def described(episodes: Episodes) -> dict[str, Any] | None:
    """Success over all episodes, and the measures over the successes; None without any.

    The interval of the success is the wider of two: Wilson's takes episodes for independent, which
    those of a task are not; the bootstrap's has no width where all succeed or all fail.
    """
    if not episodes:
        return None
    scenes = sorted(episodes)
    rows = [episodes[scene] for scene in scenes]
    bootstrap = SceneBootstrap(scenes)
    means = bootstrap.means(_over_successes(rows))
    solved = sum(row.success for row in rows)
    (rate,) = bootstrap.means(np.array([[row.success] for row in rows], np.float64))
    return {
        'episodes': len(rows),
        'solved': solved,
        'success': bounds(wider(wilson(solved, len(rows)), rate)),
        **{measure.column: bounds(mean) for measure, mean in zip(COMPARED, means, strict=True)},
    }


def compared(before: Episodes, after: Episodes) -> dict[str, Any] | None:
    """Change from one method to another on the episodes of both; None without a common one.

    Success over all common episodes, in points, with the wider of two intervals: the bootstrap's
    has no width where no episode differs, Newcombe's knows of no seeds and tasks. The measures
    over those that both solve, in percent, or in their unit where a percentage says nothing.
    """
    scenes = sorted(set(before) & set(after))
    if not scenes:
        return None
    first, second = [before[scene] for scene in scenes], [after[scene] for scene in scenes]
    bootstrap = SceneBootstrap(scenes)
    both = np.array([a.success and b.success for a, b in zip(first, second, strict=True)])
    values = _over_successes(first), _over_successes(second)
    percent, units = bootstrap.changes_percent(*values), bootstrap.means(values[1] - values[0])
    changes = {
        measure.column: bounds(percent[index] if measure.relative else units[index])
        for index, measure in enumerate(COMPARED)
    }
    return {
        'episodes': len(scenes),
        'solved_by_both': int(both.sum()),
        'share': float(both.mean()),
        'success_change_points': bounds(_success_change(bootstrap, first, second).scaled(100.0)),
        'jerk_change_percent': changes['jerk'],
        'changes': changes,
    }


def _success_change(
    bootstrap: SceneBootstrap, before: Sequence[EpisodeRow], after: Sequence[EpisodeRow]
) -> Interval:
    first, second = ([row.success for row in rows] for rows in (before, after))
    newcombe = success_difference(PairedCounts.of(first, second))
    (drawn,) = bootstrap.means(np.subtract(second, first, dtype=np.float64)[:, None])
    return wider(newcombe, drawn)


def _over_successes(rows: Sequence[EpisodeRow]) -> np.ndarray:
    """Return the compared columns [n, k], NaN where the episode failed or has no such number."""
    return np.array(
        [
            [getattr(row, measure.column) if row.success else np.nan for measure in COMPARED]
            for row in rows
        ],
        np.float64,
    )
