"""The analysis as one HTML file that loads nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from smoothvla_ros.evaluation.bags import figures, table
from smoothvla_ros.evaluation.bags.analysis import BagAnalysis
from smoothvla_ros.evaluation.bags.comparison import Comparison, measures
from smoothvla_ros.evaluation.templates import embedded, template

# A page of thousands of rows is read by nobody; `--json` has them all.
MOST_SEGMENTS_SHOWN = 200


def page(analyses: Sequence[BagAnalysis], comparisons: Sequence[Comparison]) -> str:
    """Return the page of one recording, or of several with the changes against the first."""
    filters = {
        'number': lambda value: table.number(value).replace('-', '−'),
        'percent': table.percent,
        'unit': lambda unit: unit.replace('^3', '³'),
        'minus': lambda text: text.replace('-', '−'),
        'clock': table.clock,
        'width': lambda share: 0 if math.isnan(share) else round(min(1.0, share) * 100, 1),
    }
    return template('smoothvla_ros.evaluation.bags', 'page.html.jinja', filters).render(
        bags=[
            {
                'analysis': analysis,
                'facts': table.facts(analysis),
                'rows': table.rows(analysis),
                'curves': embedded(figures.curves(analysis)),
                'path': embedded(figures.path(analysis)) if len(analysis.path) > 1 else None,
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
