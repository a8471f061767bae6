"""Which rows go through the network together: as many as memory holds, of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def micro_batches(
    lengths: Sequence[int] | None, rows: int, most_rows: int, most_tokens: int = 0
) -> list[np.ndarray]:
    """Split rows 0 to `rows` - 1 into forward passes; every row is in exactly one.

    lengths: tokens of each row, None where all are alike. A pass is as long as its longest row, so
    rows of one length come together, longest first: memory runs out at the first pass or never.
    most_rows: of a pass.  most_tokens: of a pass, padding included; 0 sets no limit, and a row that
    is longer by itself has a pass of its own.
    """
    if lengths is None:
        return [
            np.arange(first, min(first + most_rows, rows)) for first in range(0, rows, most_rows)
        ]
    order = np.argsort(-np.asarray(lengths), kind='stable')
    passes: list[list[int]] = []
    for row in order:
        longest = lengths[passes[-1][0]] if passes else 0
        full = not passes or len(passes[-1]) >= most_rows
        if full or (most_tokens and (len(passes[-1]) + 1) * longest > most_tokens):
            passes.append([])
        passes[-1].append(int(row))
    return [np.array(rows_of_pass) for rows_of_pass in passes]


def share(passes: Sequence[np.ndarray], rank: int, size: int) -> list[tuple[np.ndarray, bool]]:
    """Return the passes of one of `size` processes, and whether each counts.

    All get the same number, because a sharded network runs on all of them or on none: who has one
    less runs the first again, and it does not count.
    """
    own = [(rows, True) for rows in passes[rank::size]]
    idle = -(-len(passes) // size) - len(own)
    return own + [(passes[0], False)] * idle
