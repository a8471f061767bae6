"""The analysis as one HTML file that loads nothing."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from importlib.resources import files

import jinja2

from smoothvla_ros.evaluation.bags import figures, table
from smoothvla_ros.evaluation.bags.analysis import BagAnalysis
from smoothvla_ros.evaluation.bags.comparison import Comparison, measures

# A page of thousands of rows is read by nobody; `--json` has them all.
MOST_SEGMENTS_SHOWN = 200


def page(analyses: Sequence[BagAnalysis], comparisons: Sequence[Comparison]) -> str:
    """Return the page of one recording, or of several with the changes against the first."""
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters['number'] = lambda value: table.number(value).replace('-', '−')
    environment.filters['percent'] = table.percent
    environment.filters['unit'] = lambda unit: unit.replace('^3', '³')
    environment.filters['minus'] = lambda text: text.replace('-', '−')
    environment.filters['clock'] = table.clock
    environment.filters['width'] = lambda share: (
        0 if math.isnan(share) else round(min(1.0, share) * 100, 1)
    )
    template = environment.from_string(
        (files('smoothvla_ros.evaluation.bags') / 'page.html.jinja').read_text()
    )
    return template.render(
        bags=[
            {
                'analysis': analysis,
                'facts': table.facts(analysis),
                'rows': table.rows(analysis),
                'curves': _embedded(figures.curves(analysis)),
                'path': _embedded(figures.path(analysis)) if len(analysis.path) > 1 else None,
                'segments': analysis.segments[:MOST_SEGMENTS_SHOWN],
                'joint_units': analysis.robot.units(analysis.names),
                'unit': 'm/s^3' if analysis.tool is not None else 'rad/s^3',
            }
            for analysis in analyses
        ],
        measures=measures(analyses),
        comparisons=comparisons,
        change=table.change,
        paired_change=table.paired_change,
    )


def _embedded(content: bytes) -> str:
    return f'data:image/png;base64,{base64.b64encode(content).decode()}'
