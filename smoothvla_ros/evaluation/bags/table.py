"""The analysis as a terminal shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from smoothvla_ros.evaluation.bags.analysis import BagAnalysis
from smoothvla_ros.evaluation.bags.comparison import Comparison, measures
from smoothvla_ros.nanoseconds import NANOSECONDS

_NOTHING = '–'


def number(value: float) -> str:
    """Write a jerk with three digits that count."""
    if not math.isfinite(value):
        return _NOTHING
    size = abs(value)
    if size >= 1000:
        return f'{value:,.0f}'.replace(',', ' ')
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f'{value:.{decimals}f}' if size >= 0.01 or size == 0 else f'{value:.2g}'


def percent(share: float) -> str:
    """Write a share as percent."""
    if not math.isfinite(share):
        return _NOTHING
    return f'{100 * share:.0f} %' if share >= 0.1 else f'{100 * share:.2g} %'


def facts(analysis: BagAnalysis) -> str:
    """Say what was measured and how."""
    estimator, count = analysis.estimator, len(analysis.segments)
    return (
        f'{analysis.topic}: {duration(analysis.duration_s)}, {analysis.samples} samples at '
        f'{estimator.rate_hz:g} Hz, {count} segment{"s" * (count != 1)}; '
        f'window {estimator.window_s:g} s, order {estimator.order}'
    )


def duration(seconds: float) -> str:
    """Write a duration for people."""
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours} h {minutes:02d} min' if hours else f'{minutes} min {rest:02d} s'


def clock(stamp_ns: int) -> str:
    """Write a stamp as date and time (UTC), or as seconds where it is no date."""
    seconds = float(stamp_ns) / NANOSECONDS
    if seconds < 1e9:  # simulation time
        return f'stamp {seconds:.3f} s'
    return datetime.fromtimestamp(seconds, UTC).strftime('%Y-%m-%d %H:%M:%S.%f')[:-3] + ' UTC'


def rows(analysis: BagAnalysis) -> list[tuple[str, str, dict[str, float], float]]:
    """Return (label, unit, mean, RMS and peak, share of the limit) of tool and joints."""
    found = []
    if analysis.tool is not None:
        found.append(('tool', 'm/s^3', analysis.tool[0], math.nan))
        found.append(('tool rotation', 'rad/s^3', analysis.tool[1], math.nan))
    for index, name in enumerate(analysis.names):
        share = analysis.share_of_limit(index)
        found.append((name, analysis.robot.unit(name), analysis.joints[index], share))
    return found


def lines(analysis: BagAnalysis) -> list[str]:
    """Return one recording's table, a line each."""
    limits = bool(analysis.robot.limits)
    heads = ['mean', 'RMS', 'peak'] + (['of limit'] if limits else [])
    body = [
        [number(figures[key]) for key in ('mean', 'rms', 'peak')]
        + ([percent(share)] if limits else [])
        for _, _, figures, share in rows(analysis)
    ]
    labels = [f'{label}  {unit}' for label, unit, _, _ in rows(analysis)]
    text = [str(analysis.path_given), facts(analysis), '', *_aligned('jerk', heads, labels, body)]
    units = analysis.robot.units(analysis.names)
    floor = f'noise floor {number(analysis.noise_floor)} {units} a joint'
    if analysis.tool_noise_floor is not None:
        floor += f', {number(analysis.tool_noise_floor[0])} m/s^3 at the tool'
    text += ['', f'{floor} (encoder step as given); velocities: {analysis.velocities}']
    what = 'tool' if analysis.tool is not None else 'joints'
    text.append(
        f'LDLJ {number(analysis.ldlj)}, SPARC {number(analysis.sparc)} '
        f'(speed of the {what}, mean over segments)'
    )
    unit = 'm/s^3' if analysis.tool is not None else 'rad/s^3'
    for moment in analysis.worst[:3]:
        text.append(
            f'worst: {number(moment.jerk)} {unit} at {moment.time_s:.2f} s, {moment.joint} '
            f'({clock(moment.stamp_ns)})'
        )
    return text + [f'note: {note}' for note in analysis.notes]


def comparison_lines(
    analyses: Sequence[BagAnalysis], comparisons: Sequence[Comparison]
) -> list[str]:
    """Return the recordings side by side: mean jerk, and the change against the first."""
    known = measures(analyses)
    heads, columns = [], []
    for index, analysis in enumerate(analyses):
        heads.append(f'({index + 1})')
        columns.append([number(measure.of_bag(analysis)) for measure in known])
        if index:
            comparison = comparisons[index - 1]
            heads.append('change')
            columns.append([change(comparison, measure.name) for measure in known])
            if comparison.pairs:
                heads.append('paired, moving')
                columns.append([paired_change(comparison, measure.name) for measure in known])
    labels = [f'{measure.name}  {measure.unit}' for measure in known]
    body = [list(row) for row in zip(*columns, strict=True)]
    text = [f'({i + 1}) {a.path_given}' for i, a in enumerate(analyses)]
    text += ['', *_aligned('mean jerk', heads, labels, body), '']
    for index, comparison in enumerate(comparisons):
        if comparison.pairs:
            text.append(
                f'({index + 2}) against (1): paired over {comparison.pairs} segments in their '
                'order, rests left out; 95 % intervals in brackets'
                + (', somewhat narrow over so few' if comparison.narrow else '')
            )
        if comparison.why:
            text.append(f'({index + 2}) against (1): {comparison.why}')
    return text


def change(comparison: Comparison, measure: str) -> str:
    """Write the change of a whole recording's mean."""
    if measure not in comparison.changes:
        return _NOTHING
    return f'{comparison.changes[measure]:+.1f} %'


def paired_change(comparison: Comparison, measure: str) -> str:
    """Write the paired change over the segments, with its interval."""
    interval = comparison.intervals.get(measure)
    if interval is None:
        return _NOTHING
    return f'{interval.mean:+.1f} % [{interval.low:+.1f}, {interval.high:+.1f}]'


def _aligned(
    corner: str, heads: Sequence[str], labels: Sequence[str], body: Sequence[Sequence[str]]
) -> list[str]:
    first = max(map(len, [corner, *labels]))
    widths = [max(map(len, column)) for column in zip(heads, *body, strict=True)]

    def line(label: str, cells: Sequence[str]) -> str:
        padded = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        return '  '.join([label.ljust(first), *padded]).rstrip()

    return [line(corner, heads), *(line(*row) for row in zip(labels, body, strict=True))]
