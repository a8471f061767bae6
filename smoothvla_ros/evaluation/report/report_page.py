"""report.html: one file that loads nothing, from a summary and its pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smoothvla_ros.evaluation.report.comparison_table import caption, comparison_lines, task_lines
from smoothvla_ros.evaluation.report.findings import findings
from smoothvla_ros.evaluation.templates import embedded, template

# A longer film is linked instead, to keep the page quick to open and to send.
_MOST_EMBEDDED_BYTES = 4_000_000

_HYPHEN_AS_MINUS = re.compile(r'(?<![\w.])-(?=\d)')
_UNITS = {'m/s^3': 'm/s³', 'rad/s^3': 'rad/s³'}


def page(
    summary: Mapping[str, Any],
    figures: Mapping[str, bytes],
    film: Path,
    still: Path,
    labels: tuple[str, str],
) -> str:
    """Return the report as HTML.

    figures: name -> PNG, of those that `run_report.py` draws.  film, still: left out if missing.
    labels: of the two policies; the first is '' where only one ran.
    """
    filters = {
        'unit': lambda unit: _UNITS.get(unit, unit),
        'percent': lambda share: f'{100.0 * share:.1f}'.removesuffix('.0'),
        'minus': lambda text: _HYPHEN_AS_MINUS.sub('−', text),
    }
    return template('smoothvla_ros.evaluation.report', 'report.html.jinja', filters).render(
        summary=summary,
        labels=labels,
        findings=findings(summary),
        tables=[
            {'title': title, 'caption': caption(item), 'lines': comparison_lines(item)}
            for title, item in (('Greedy', summary), ('Sampled', summary['sampled']))
            if item is not None and (item['before'] or item['after'])
        ],
        task_lines=task_lines(summary['tasks']),
        figures={name: embedded(content) for name, content in figures.items()},
        film=_film(film),
        still=embedded(still.read_bytes()) if still.exists() else None,
    )


def _film(path: Path) -> str | None:
    if not path.exists():
        return None
    content = path.read_bytes()
    return embedded(content, 'video/mp4') if len(content) < _MOST_EMBEDDED_BYTES else path.name
