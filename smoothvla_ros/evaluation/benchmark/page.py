"""docs/results.md: the benchmark's figures as they are read, and which are not measured yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from smoothvla_ros.evaluation.benchmark import page_rows as rows
from smoothvla_ros.evaluation.benchmark import paper_numbers as paper
from smoothvla_ros.evaluation.benchmark.bars import Bar, with_interval
from smoothvla_ros.evaluation.benchmark.picture import by_suite
from smoothvla_ros.evaluation.benchmark.results import GREEDY, SAMPLED
from smoothvla_ros.evaluation.templates import template

PICTURE = 'results.png'
"""The page shows it, from its own folder, as soon as anything is measured."""

_EPISODE_HEADER = (
    *rows.KEY,
    'solved',
    'success, %',
    'mean jerk',
    'RMS jerk',
    'angular jerk, rad/s³',
    'LDLJ',
    'SPARC',
    'length, steps',
    'speed, m/s',
)
_CHANGE_HEADER = (
    *rows.KEY,
    'against',
    'episodes',
    'both solve',
    'success, points',
    *(label for _, label, _, _ in rows.CHANGES),
)


def page(content: Mapping[str, Any], bars: Sequence[Bar], notes: str, commands: str) -> str:
    """Return the page.

    content: that of results.json.  notes: written by hand, Markdown, put in as it is.
    commands: how to make this page and a row of it again, Markdown.
    """
    cells, erasing = content['cells'], content.get('erasing') or []
    sampled = f'sampled at {content["sampled_temperature"]:g}'
    text = template('smoothvla_ros.evaluation.benchmark', 'page.md.jinja').render(
        table=_table,
        commands=commands.strip(),
        notes=notes.strip(),
        cells=cells,
        complete=sum(cell['episodes'] >= cell['planned'] for cell in cells.values()),
        done=sum(cell['episodes'] for cell in cells.values()),
        planned=sum(cell['planned'] for cell in cells.values()),
        picture=PICTURE if by_suite(content['rows']) else None,
        missing=rows.missing_cells(cells),
        estimator=content['estimator'],
        bars=[(bar.figure, bar.asked, bar.measured, f'**{bar.verdict.value}**') for bar in bars],
        papers_methods=[f'ours: {method}' for method in rows.PAPERS_METHODS],
        beside_the_paper=rows.beside_the_paper(content),
        paper=paper,
        perturbed_paper=list(paper.PERTURBED_SUCCESS_PERCENT.values()),
        ours=_ours(content['decoupled_vs_binary']),
        episode_header=_EPISODE_HEADER,
        episodes=[
            ('greedy', rows.episodes(content, GREEDY)),
            (sampled, rows.episodes(content, SAMPLED)),
        ],
        change_header=_CHANGE_HEADER,
        changes=[(sampling, rows.changes(content, sampling)) for sampling in (GREEDY, SAMPLED)],
        perturbed=rows.perturbed(content['libero_pro']),
        same_speed_percent=rows.SAME_SPEED_PERCENT,
        honesty=rows.honesty(content['honesty']),
        erasing=rows.erasing(erasing),
        erasing_groups=erasing[0]['groups'] if erasing else None,
        erasing_from=erasing[0]['lambda'] if erasing else None,
        not_yet=rows.NOT_YET.capitalize(),
    )
    return text.strip() + '\n'


def _ours(compared: Mapping[str, Any]) -> str:
    change = compared['jerk_change_percent']
    if not change:
        return rows.NOT_YET
    return ('' if compared['complete'] else 'so far ') + with_interval(change, ' %')


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return rows.NOT_YET.capitalize() + '.'
    table = [header, ['---'] * len(header), *lines]
    return '\n'.join(f'| {" | ".join(row)} |' for row in table)
