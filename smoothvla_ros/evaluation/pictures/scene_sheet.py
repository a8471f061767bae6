"""Scenes side by side: a row a task, with what a policy is told."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.evaluation.pictures.figure_style import WIDTH_IN, figure, png

_TITLE_IN = 0.3
_LETTERS_A_LINE = 58


@dataclass(frozen=True)
class SceneRow:
    """title: above the row.  images: uint8 [H, W, 3] each, as many in every row."""

    title: str
    images: Sequence[np.ndarray]


def scene_sheet(rows: Sequence[SceneRow]) -> bytes:
    """Return the rows as one PNG."""
    columns = len(rows[0].images)
    with figure(len(rows) * (WIDTH_IN / columns + _TITLE_IN)) as drawing:
        for part, row in zip(
            drawing.subfigures(len(rows), 1, squeeze=False)[:, 0], rows, strict=True
        ):
            part.suptitle(
                textwrap.shorten(row.title, _LETTERS_A_LINE, placeholder=' …'),
                x=0.01,
                ha='left',
                fontsize=10,
            )
            for axes, image in zip(
                part.subplots(1, columns, squeeze=False)[0], row.images, strict=True
            ):
                axes.imshow(image)
                axes.set_axis_off()
        return png(drawing)
