"""Whose messages they are, where several layouts on one topic have the same joints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from smoothvla_ros.recordings import JointSamples

# Of the usual step: what comes sooner after a message of another layout is not the next sample.
_SHORT = 0.5
# Of a layout's messages: with more that do not fit between the others it is a second publisher's.
_MISPLACED = 0.5


class OnePublisher:
    """Keeps layouts that take turns, as of a driver that orders its joints anew, and drops others.

    A second publisher's samples lie between the first one's at times of their own, so that stamps
    go back and forth or stand close together: the layout with the most messages stays.
    ignored: messages of other publishers so far.
    """

    def __init__(self) -> None:
        """Start with nothing."""
        self.ignored = 0
        self._messages: Counter[tuple[str, ...]] = Counter()
        self._foreign: set[tuple[str, ...]] = set()

    def of(self, pieces: Sequence[JointSamples]) -> list[JointSamples]:
        """Return the pieces of one block that one publisher sent; a layout dropped stays so."""
        for piece in pieces:
            self._messages[piece.names] += len(piece.stamps_ns)
        kept = [piece for piece in pieces if piece.names not in self._foreign]
        # Of as many, the arm's own before what gathers the joints of several publishers.
        kept.sort(key=lambda piece: (-self._messages[piece.names], len(piece.names)))
        while len(kept) > 1:
            misplaced = _misplaced(kept)
            suspects = [place for place in range(1, len(kept)) if misplaced[place]]
            if not suspects:
                break
            self._foreign.add(kept.pop(suspects[-1]).names)
        self.ignored += sum(len(piece.stamps_ns) for piece in pieces)
        self.ignored -= sum(len(piece.stamps_ns) for piece in kept)
        return kept


def in_order_of_reception(pieces: Sequence[JointSamples]) -> np.ndarray:
    """Return the order in which the samples of all pieces, one after another, came: int [N]."""
    received = np.concatenate([piece.received_ns for piece in pieces])
    # A converter may give many messages one time of reception.
    return np.lexsort((np.concatenate([piece.stamps_ns for piece in pieces]), received))


def _misplaced(pieces: Sequence[JointSamples]) -> list[bool]:
    """Return which of the pieces do not fit between the others."""
    order = in_order_of_reception(pieces)
    stamps = np.concatenate([piece.stamps_ns for piece in pieces])[order]
    counts = [len(piece.stamps_ns) for piece in pieces]
    whose = np.repeat(np.arange(len(pieces)), counts)[order]
    steps = np.diff(stamps)
    forwards = steps[steps > 0]
    if not len(forwards):
        return [False] * len(pieces)
    short = (steps < _SHORT * np.median(forwards)) & (whose[1:] != whose[:-1])
    found = []
    for index, count in enumerate(counts):
        of_it = (whose[1:] == index) | (whose[:-1] == index)
        # A driver that starts again with another order misplaces one, however few follow.
        found.append(int(np.count_nonzero(short & of_it)) > max(1.0, _MISPLACED * count))
    return found
