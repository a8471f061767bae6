"""docs/results.png: success and jerk of every method on every suite, a point a training seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from smoothvla_ros.evaluation.benchmark.matrix import SFT, Role
from smoothvla_ros.evaluation.benchmark.results import GREEDY
from smoothvla_ros.evaluation.pictures.figure_style import (
    AFTER_COLOUR,
    BEFORE_COLOUR,
    FAINT,
    INK,
    figure,
    png,
)
from smoothvla_ros.records.reward_names import BINARY, DECOUPLED

_LABELS = {SFT: 'before (SFT)', BINARY: 'binary (standard RL)'}
_COLOURS = {SFT: INK, BINARY: BEFORE_COLOUR, DECOUPLED: AFTER_COLOUR}
_ROW_IN = 0.34
_BETWEEN_SEEDS = 0.22
_WIDTH_IN = 8.0

Row = Mapping[str, Any]


def picture(rows: Sequence[Row]) -> bytes | None:
    """Return the picture as PNG, or None before anything is measured.

    rows: those of results.json. Drawn are the greedy ones of single seeds, with their intervals;
    ablations are not.
    """
    suites = by_suite(rows)
    if not suites:
        return None
    heights = [len(methods) for methods in suites.values()]
    with figure(0.9 + _ROW_IN * sum(heights) + 0.3 * len(suites), _WIDTH_IN) as drawing:
        grid = drawing.subplots(len(suites), 2, sharex='col', squeeze=False, height_ratios=heights)
        for (jerk, success), (suite, methods) in zip(grid, suites.items(), strict=True):
            _draw(jerk, methods, 'jerk', 1.0)
            _draw(success, methods, 'success', 100.0)
            jerk.set_title(suite)
            jerk.set_yticks(range(len(methods)), [_LABELS.get(name, name) for name in methods])
            success.set_yticks(range(len(methods)), [''] * len(methods))
        jerk, success = grid[-1]
        jerk.set_xlabel('mean tool jerk of the successes, m/s³')
        jerk.set_xlim(left=0.0)
        success.set_xlabel('success, %')
        success.set_xlim(0.0, 102.0)
        return png(drawing)


def by_suite(rows: Sequence[Row]) -> dict[str, dict[str, list[Row]]]:
    """Return the measured rows that are drawn: suite -> method -> one row a training seed."""
    suites: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        single = row['suite'] != 'pooled' and row['seed'] != 'pooled'
        drawn = row['sampling'] == GREEDY and row['role'] != Role.ABLATION
        if single and drawn and row['figures'] is not None:
            suites.setdefault(row['suite'], {}).setdefault(row['method'], []).append(row)
    return suites


def _draw(axes: Axes, methods: Mapping[str, Sequence[Row]], column: str, factor: float) -> None:
    for place, (method, seeds) in enumerate(methods.items()):
        colour = _COLOURS.get(method, FAINT)
        for number, row in enumerate(seeds):
            height = place + _BETWEEN_SEEDS * (number - (len(seeds) - 1) / 2.0)
            found = row['figures'][column]
            if found['mean'] is None:
                continue
            if found['low'] is not None:
                ends = [factor * found['low'], factor * found['high']]
                axes.plot(ends, [height] * 2, color=colour, lw=1.4)
            axes.plot(factor * found['mean'], height, 'o', color=colour, ms=4.5)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.grid(axis='y', visible=False)
    axes.spines['left'].set_visible(False)
    axes.tick_params(axis='y', length=0)
