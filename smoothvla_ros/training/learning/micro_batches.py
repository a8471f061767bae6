"""Which rows go through the network together: as many as memory holds, of like length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def micro_batches(
    lengths: Sequence[int] | None, rows: int, most_rows: int, most_tokens: int = 0
) -> list[np.ndarray]:
    """Split rows 0 to `rows` - 1 into forward passes; every row is in exactly one.

    lengths: tokens of each row, None where all are alike. A pass has rows of one length: padding
    would cost time, and in bfloat16 bits of the log-probabilities. The longest come first, so that
    memory runs out at once or never.
    most_rows: of a pass.  most_tokens: of a pass; 0 sets no limit, and a row that is longer by
    itself has a pass of its own.
    """
    if lengths is None:
        return [
            np.arange(first, min(first + most_rows, rows)) for first in range(0, rows, most_rows)
        ]
    passes = []
    for length in sorted(set(lengths), reverse=True):
        alike = np.flatnonzero(np.asarray(lengths) == length)
        size = min(most_rows, max(1, most_tokens // length)) if most_tokens else most_rows
        passes += [alike[first : first + size] for first in range(0, len(alike), size)]
    return passes


def share(passes: Sequence[np.ndarray], rank: int, size: int) -> list[tuple[np.ndarray, bool]]:
    """Return the passes of one of `size` processes, and whether each counts.

    All get the same number, because a sharded network runs on all of them or on none: who has one
    less runs the first again, and it does not count.
    """
    own = [(rows, True) for rows in passes[rank::size]]
    idle = -(-len(passes) // size) - len(own)
    return own + [(passes[0], False)] * idle
