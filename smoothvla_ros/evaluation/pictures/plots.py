"""The figures of the report, each a function from data to PNG bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from smoothvla_ros.evaluation.episodes.motion import EpisodeMotion, MotionPair
from smoothvla_ros.evaluation.pictures.figure_style import (
    AFTER_COLOUR,
    BEFORE_COLOUR,
    FAINT,
    INK,
    JERK_COLOURS,
    figure,
    png,
    quiet_axes,
)
from smoothvla_ros.smoothness import with_filled_ends

Labels = tuple[str, str]
BEFORE_AFTER: Labels = ('before', 'after')

# Both views keep a readable height even where the tool hardly moved.
_LEAST_SPAN_M = 0.15


def learning_curves(
    metrics: Mapping[str, np.ndarray], panels: Sequence[tuple[str, str, float]]
) -> bytes:
    """Draw training over its iterations, one panel a quantity.

    metrics: columns of metrics.csv, with 'iteration'.  panels: (column, title with unit, factor).
    """
    shown = [panel for panel in panels if panel[0] in metrics]
    with figure(1.0 + 1.35 * len(shown)) as drawing:
        rows = drawing.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (column, title, factor) in zip(rows, shown, strict=True):
            values = factor * metrics[column]
            axes.plot(metrics['iteration'], values, color=FAINT, lw=1.0, marker='o', ms=3.5)
            axes.plot(metrics['iteration'], _smoothed(values), color=AFTER_COLOUR, lw=2.2)
            axes.set_title(title)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            quiet_axes(axes)
        rows[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        _ticks_below_only(rows)
        rows[-1].set_xlabel('iteration')
        return png(drawing)


def jerk_over_time(pairs: Sequence[MotionPair], labels: Labels = BEFORE_AFTER) -> bytes:
    """Draw the jerk of both policies against time, one panel a pair, all to one scale."""
    with figure(0.9 + 1.45 * len(pairs)) as drawing:
        rows = drawing.subplots(len(pairs), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, pair in zip(rows, pairs, strict=True):
            for motion, colour in ((pair.before, BEFORE_COLOUR), (pair.after, AFTER_COLOUR)):
                axes.plot(motion.times, motion.jerk, color=colour, lw=1.4)
                axes.fill_between(motion.times, motion.jerk, color=colour, alpha=0.12, lw=0)
                axes.axvline(motion.times[-1], color=colour, lw=1.0, ls=(0, (2, 2)))
            axes.set_title(_shortened(pair.title), weight='normal')
            axes.yaxis.set_major_locator(MaxNLocator(4))
            quiet_axes(axes)
        rows[-1].set_xlim(left=0.0)
        rows[-1].set_ylim(bottom=0.0)
        _ticks_below_only(rows)
        rows[-1].set_xlabel('time, s')
        drawing.supylabel('tool jerk, m/s³', size=10)
        drawing.legend(handles=_policy_handles(labels), loc='outside upper right', ncols=2)
        return png(drawing)


def tool_paths(pair: MotionPair, labels: Labels = BEFORE_AFTER) -> bytes:
    """Draw the tool's path from the side and from above, coloured by jerk on one scale."""
    jerk = np.concatenate([pair.before.jerk, pair.after.jerk])
    scale = Normalize(0.0, float(np.nanquantile(jerk, 0.98)))
    views = (('side view', 0, 2, 'z, m'), ('from above', 0, 1, 'y, m'))
    paths = np.concatenate([pair.before.tool_positions, pair.after.tool_positions])
    middle = (paths.max(axis=0) + paths.min(axis=0)) / 2.0
    reach = np.maximum((paths.max(axis=0) - paths.min(axis=0)) * 0.56, _LEAST_SPAN_M / 2.0)
    heights = [reach[up] / reach[across] for _, across, up, _ in views]
    with figure(1.6 + 2.05 * sum(heights)) as drawing:
        grid = drawing.subplots(2, 2, sharex=True, sharey='row', height_ratios=heights)
        for panels, (view, first, second, up) in zip(grid, views, strict=True):
            sides = zip(panels, (pair.before, pair.after), labels, strict=True)
            for axes, motion, label in sides:
                _draw_path(axes, motion, first, second, scale)
                axes.set_title(f'{label}, {view}', weight='normal')
                axes.set_aspect('equal')
                axes.set_xlim(middle[first] - reach[first], middle[first] + reach[first])
                axes.set_ylim(middle[second] - reach[second], middle[second] + reach[second])
                axes.xaxis.set_major_locator(MaxNLocator(4))
                axes.yaxis.set_major_locator(MaxNLocator(5))
            panels[0].set_ylabel(up)
        for axes in grid[-1]:
            axes.set_xlabel('x, m')
        drawing.colorbar(
            ScalarMappable(scale, JERK_COLOURS),
            ax=grid,
            location='bottom',
            label='tool jerk, m/s³',
            shrink=0.8,
            aspect=40,
            extend='max',
        )
        return png(drawing)


def task_figures(tasks: Sequence[Mapping[str, Any]], labels: Labels = BEFORE_AFTER) -> bytes:
    """Draw success and jerk of every task with their intervals, before and after.

    tasks: the 'tasks' of summary.json.
    """
    with figure(0.9 + 0.72 * len(tasks)) as drawing:
        left, right = drawing.subplots(1, 2, sharey=True)
        for row, task in enumerate(tasks):
            for offset, side, colour in (
                (0.12, 'before', BEFORE_COLOUR),
                (0.36, 'after', AFTER_COLOUR),
            ):
                if task[side] is None:
                    continue
                _interval(left, row + offset, task[side]['success'], colour, 100.0)
                _interval(right, row + offset, task[side]['jerk'], colour, 1.0)
            label = task['language'] or f'task {task["task"]}'
            left.text(
                0.0,
                row - 0.22,
                _shortened(label, 70),
                transform=left.get_yaxis_transform(),
                size=8.5,
                va='center',
                bbox={'facecolor': 'white', 'linewidth': 0, 'pad': 1.5},
            ).set_in_layout(False)
        for axes, title in ((left, 'success, %'), (right, 'mean jerk, m/s³')):
            axes.set_title(title)
            axes.grid(axis='y', visible=False)
            axes.set_yticks([])
            axes.spines['left'].set_visible(False)
        # The labels of the tasks run on over the right-hand panel.
        left.set_zorder(right.get_zorder() + 1)
        left.patch.set_visible(False)
        left.set_xlim(-3.0, 103.0)
        left.set_ylim(len(tasks) - 0.35, -0.55)
        right.set_xlim(left=0.0)
        drawing.legend(handles=_policy_handles(labels), loc='outside lower center', ncols=2)
        return png(drawing)


def _ticks_below_only(rows: np.ndarray) -> None:
    for axes in rows[:-1]:
        axes.tick_params(axis='x', length=0)


def _interval(
    axes: Axes, height: float, bounds: Mapping[str, Any], colour: str, factor: float
) -> None:
    if bounds['mean'] is None:
        return
    if bounds['low'] is not None:
        low, high = factor * bounds['low'], factor * bounds['high']
        axes.plot([low, high], [height, height], color=colour, lw=2.4, alpha=0.4)
    axes.plot(factor * bounds['mean'], height, 'o', color=colour, ms=5.5)


def _draw_path(
    axes: Axes, motion: EpisodeMotion, first: int, second: int, scale: Normalize
) -> None:
    points = motion.tool_positions[:, [first, second]]
    segments = np.stack([points[:-1], points[1:]], axis=1)
    lines = LineCollection(
        list(segments), cmap=JERK_COLOURS, norm=scale, linewidths=3.0, capstyle='round'
    )
    lines.set_array(with_filled_ends(motion.jerk)[:-1])
    axes.add_collection(lines)
    axes.plot(*points[0], 'o', color='white', mec=INK, ms=6, zorder=4)
    axes.plot(*points[-1], 's', color=INK, ms=5, zorder=4)


def _policy_handles(labels: Labels) -> list[Line2D]:
    return [
        Line2D([], [], color=colour, marker='o', ms=5, label=label)
        for colour, label in zip((BEFORE_COLOUR, AFTER_COLOUR), labels, strict=True)
        if label
    ]


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Centred mean over up to five iterations, shorter at both ends; NaN are left out."""
    half = min(2, (len(values) - 1) // 2)
    windows = [values[max(0, i - half) : i + half + 1] for i in range(len(values))]
    return np.array([np.nanmean(w) if np.isfinite(w).any() else np.nan for w in windows])


def _shortened(text: str, width: int = 58) -> str:
    return textwrap.shorten(text, width, placeholder=' …')
