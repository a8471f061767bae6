"""One look for every figure: readable at phone width, and without telling red from green."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BEFORE_COLOUR = '#c2570c'
AFTER_COLOUR = '#0b63b0'
INK = '#1d2129'
FAINT = '#8b919c'
GRID = '#e6e8ec'
# Perceptually even, and the same order in grey and to the colour-blind.
JERK_COLOURS = 'viridis'

# A phone shows a figure of this width nearly as large as it is drawn.
WIDTH_IN = 5.0
_PIXELS_PER_INCH = 200

_STYLE: dict[Any, Any] = {
    'font.family': 'DejaVu Sans',
    'font.size': 10,
    'text.color': INK,
    'axes.labelcolor': INK,
    'axes.edgecolor': FAINT,
    'axes.linewidth': 0.8,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.titlesize': 10.5,
    'axes.titlelocation': 'left',
    'axes.titleweight': 'bold',
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': GRID,
    'grid.linewidth': 0.8,
    'xtick.color': INK,
    'ytick.color': INK,
    'xtick.labelsize': 9,
    'ytick.labelsize': 9,
    'legend.frameon': False,
    'legend.fontsize': 9.5,
    'lines.linewidth': 1.8,
}


@contextmanager
def figure(height_in: float, width_in: float = WIDTH_IN) -> Iterator[Figure]:
    """Open a figure in the house style; no window, no global state."""
    with matplotlib.rc_context(_STYLE):
        yield Figure(figsize=(width_in, height_in), layout='constrained', facecolor='white')


def png(drawing: Figure) -> bytes:
    """Return the figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    drawing.savefig(buffer, format='png', dpi=_PIXELS_PER_INCH, metadata={'Software': None})
    return buffer.getvalue()


def quiet_axes(axes: Axes) -> None:
    """Keep only the horizontal guides and the bottom line."""
    axes.grid(axis='x', visible=False)
    axes.spines['left'].set_visible(False)
    axes.tick_params(axis='y', length=0)
