"""The before/after table that a terminal shows and the report repeats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smoothvla_ros.evaluation.episodes.measures import MEASURES
from smoothvla_ros.evaluation.intervals.bootstrap import LEAST_OBSERVATIONS
from smoothvla_ros.simulation.splits import EvaluationSplit

NOTHING = '–'


@dataclass(frozen=True)
class TableLine:
    """One printed line; every cell is text."""

    label: str
    unit: str
    before: str
    after: str
    change: str
    note: str = ''

    @property
    def empty(self) -> bool:
        """Whether the line says nothing."""
        return self.before == self.after == NOTHING


def comparison_lines(figures: Mapping[str, Any], short: bool = False) -> list[TableLine]:
    """Return the lines of one comparison (the top level of summary.json, or its 'sampled').

    short: success and the headline measures only.
    """
    before, after, paired = figures['before'], figures['after'], figures['paired']
    lines = [
        TableLine(
            'success',
            '%',
            _cell(before and before['success'], 1, 100.0),
            _cell(after and after['success'], 1, 100.0),
            _change(paired and paired['success_change_points'], ' points'),
        )
    ]
    for measure in MEASURES:
        if short and not measure.headline:
            continue
        change = paired and paired['changes'][measure.column]
        lines.append(
            TableLine(
                measure.label,
                measure.unit,
                _cell(before and before[measure.column], measure.decimals),
                _cell(after and after[measure.column], measure.decimals),
                _change(change, ' %')
                if measure.relative
                else _change(change, '', measure.decimals),
                measure.note,
            )
        )
    return lines


def task_lines(tasks: Sequence[Mapping[str, Any]]) -> list[TableLine]:
    """Return one line of success and one of jerk for every task."""
    lines = []
    for task in tasks:
        before, after, paired = task['before'], task['after'], task['paired']
        label = f'task {task["task"]}' + (f': {task["language"]}' if task['language'] else '')
        lines.append(
            TableLine(
                f'{label}, success',
                '%',
                _cell(before and before['success'], 0, 100.0),
                _cell(after and after['success'], 0, 100.0),
                _change(paired and paired['success_change_points'], ' points'),
            )
        )
        lines.append(
            TableLine(
                f'{label}, jerk',
                'm/s^3',
                _cell(before and before['jerk'], 2),
                _cell(after and after['jerk'], 2),
                _change(paired and paired['changes']['jerk'], ' %'),
            )
        )
    return lines


def caption(figures: Mapping[str, Any]) -> str:
    """Say what the figures are of: sampling, number of episodes, and of pairs."""
    temperature = figures.get('temperature') or 0.0
    kind = 'greedy' if temperature == 0.0 else f'sampled at temperature {temperature:g}'
    if figures.get('split') == EvaluationSplit.ALL:
        kind = f'all scenes, those of training included, {kind}'
    elif figures.get('split'):
        kind = f'{figures["split"].replace("_", "-")} scenes, {kind}'
    if figures.get('horizon'):
        kind += f', at most {figures["horizon"]} steps'
    successes = [side['success'] for side in (figures['before'], figures['after']) if side]
    counts = [side['episodes'] for side in successes]
    text = f'{kind}, {" and ".join(map(str, counts))} episodes'
    states = max(side['init_states'] for side in successes)
    if states < max(counts):
        text += f' of {states} init state{"s" if states > 1 else ""}'
    paired = figures['paired']
    if paired is None:
        return f'{text}; everything but success is over the successes'
    if paired['common'] == 0:
        return f'{text}; no scene in common, so nothing is paired'
    few = paired['init_states'] < LEAST_OBSERVATIONS
    return (
        f'{text}; everything but success is over the {paired["pairs"]} of {paired["common"]} '
        f'scenes ({100.0 * paired["share"]:.0f} %) that both solve'
        + (': too few init states for intervals of these' if few else '')
    )


def format_comparison(
    title: str,
    figures: Mapping[str, Any],
    policies: Mapping[str, str | None] | None = None,
    short: bool = False,
) -> str:
    """Return the table as aligned text, 95 % intervals in brackets.

    policies: the summary's labels of the two sides, where they are not 'before' and 'after'.
    """
    labels = {
        side: (label or '').replace('_', ' ')
        for side, label in (policies or {'before': 'before', 'after': 'after'}).items()
    }
    heading = TableLine('', '', labels['before'], labels['after'], 'change')
    measured = [line for line in comparison_lines(figures, short) if not line.empty]
    lines = [heading, *measured]
    if figures['before'] is None:
        lines = [TableLine(line.label, line.unit, '', line.after, '') for line in lines]
        lines[0] = TableLine('', '', '', labels['after'], '')
    columns = [
        [_with_unit(line) for line in lines],
        [line.before for line in lines],
        [line.after for line in lines],
        [line.change for line in lines],
    ]
    kept = [column for column in columns if any(column)]
    widths = [max(map(len, column)) for column in kept]
    body = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*kept, strict=True)
    ]
    rule = '-' * max(map(len, body))
    return '\n'.join([f'{title}: {caption(figures)}', body[0], rule, *body[1:]])


def print_comparison(summary: Mapping[str, Any]) -> None:
    """Print the tables of a summary: greedy in full, and sampled in short where there is one."""
    for figures, short in ((summary, False), (summary['sampled'], True)):
        if figures and figures['after'] is not None:
            print()
            print(format_comparison(summary['suite'], figures, summary['policies'], short))


def _with_unit(line: TableLine) -> str:
    return f'{line.label}, {line.unit}' if line.unit else line.label


def _cell(bounds: Mapping[str, Any] | None, decimals: int, factor: float = 1.0) -> str:
    if not bounds or bounds['mean'] is None:
        return NOTHING
    mean = f'{factor * bounds["mean"]:.{decimals}f}'
    if bounds['low'] is None:
        return mean
    low, high = (factor * bounds[key] for key in ('low', 'high'))
    return f'{mean} [{low:.{decimals}f}, {high:.{decimals}f}]'


def _change(bounds: Mapping[str, Any] | None, unit: str, decimals: int = 1) -> str:
    if not bounds or bounds['mean'] is None:
        return NOTHING
    mean = f'{bounds["mean"]:+.{decimals}f}{unit}'
    if bounds['low'] is None:
        return mean
    return f'{mean} [{bounds["low"]:+.{decimals}f}, {bounds["high"]:+.{decimals}f}]'
