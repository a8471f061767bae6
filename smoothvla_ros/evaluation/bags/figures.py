"""The analysis in pictures."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from smoothvla_ros.evaluation.bags.analysis import BagAnalysis
from smoothvla_ros.evaluation.pictures.figure_style import (
    AFTER_COLOUR,
    FAINT,
    INK,
    JERK_COLOURS,
    figure,
    png,
    quiet_axes,
)

_WIDE_IN = 9.0


def curves(analysis: BagAnalysis) -> bytes:
    """Draw jerk over time: the tool with its worst moments, then the joints."""
    time, values = analysis.curves
    count = len(analysis.names)
    tool = analysis.tool is not None
    with figure(2.4 + 2.1 * (1 + tool), _WIDE_IN) as drawing:
        panels = drawing.subplots(1 + tool, 1, sharex=True, squeeze=False)[:, 0]
        if tool:
            _curve(panels[0], time, values[:, count], AFTER_COLOUR)
            panels[0].set_ylabel('tool jerk, m/s³')
            for moment in analysis.worst:
                panels[0].plot(moment.time_s, moment.jerk, 'v', color=INK, markersize=5)
        colours = colormaps[JERK_COLOURS](np.linspace(0.0, 0.92, count))
        for joint, name in enumerate(analysis.names):
            _curve(panels[-1], time, values[:, joint], colours[joint], name)
        units = analysis.robot.units(analysis.names).replace('^3', '³')
        panels[-1].set_ylabel(f'joint jerk, {units}')
        panels[-1].axhline(analysis.noise_floor, color=FAINT, linestyle=':', linewidth=1.2)
        if analysis.noise_floor > 0:
            panels[-1].set_yscale('log')
            panels[-1].set_ylim(bottom=analysis.noise_floor / 3)
        panels[-1].set_xlabel('time, s')
        for axes in panels:
            quiet_axes(axes)
            axes.margins(x=0.01)
            for segment in analysis.segments:
                axes.axvspan(segment.start_s, segment.end_s, color=FAINT, alpha=0.12, linewidth=0)
        drawing.legend(*panels[-1].get_legend_handles_labels(), loc='outside lower center', ncols=4)
        return png(drawing)


def path(analysis: BagAnalysis) -> bytes:
    """Draw the tool's path in space, coloured by jerk."""
    points = analysis.path
    places, jerk, runs = points[:, :3], points[:, 3], points[:, 4]
    joined = runs[1:] == runs[:-1]
    pieces = np.stack([places[:-1], places[1:]], axis=1)[joined]
    scale = Normalize(0.0, float(np.quantile(jerk, 0.98)) or 1.0)
    with figure(5.2, 6.4) as drawing:
        axes = drawing.add_subplot(projection='3d')
        lines = Line3DCollection(pieces, cmap=JERK_COLOURS, norm=scale, linewidths=2.2)
        lines.set_array(jerk[1:][joined])
        axes.add_collection(lines)
        axes.scatter(*places[0], color=INK, s=28)
        middle = (places.max(axis=0) + places.min(axis=0)) / 2
        reach = max(float(np.ptp(places, axis=0).max()) / 2, 0.01) * 1.05
        axes.set_xlim(middle[0] - reach, middle[0] + reach)
        axes.set_ylim(middle[1] - reach, middle[1] + reach)
        axes.set_zlim(middle[2] - reach, middle[2] + reach)
        axes.set_box_aspect((1, 1, 1))
        axes.set_xlabel('x, m')
        axes.set_ylabel('y, m')
        axes.set_zlabel('z, m')
        axes.locator_params(nbins=4)
        drawing.colorbar(
            ScalarMappable(scale, JERK_COLOURS),
            ax=axes,
            label='tool jerk, m/s³',
            shrink=0.7,
            pad=0.12,
            extend='max',
        )
        return png(drawing)


def _curve(
    axes: Axes, time: np.ndarray, values: np.ndarray, colour: object, label: str | None = None
) -> None:
    axes.plot(time, values, color=colour, label=label, linewidth=1.2)
