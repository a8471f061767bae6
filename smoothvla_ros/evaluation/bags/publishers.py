"""Whose messages they are, where several layouts on one topic have the same joints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from smoothvla_ros.recordings import JointSamples

# A step further than this share from the median is a hole or part of a burst.
USUAL_STEP = 0.5
# Of a layout's own steps: with so many usual ones it is a publisher's by itself.
_REGULAR = 0.9
# Fewer steps may be alike by chance.
_FEWEST_STEPS = 16
# Of a layout's messages: jitter may put so many where a regular one has no hole for them.
_MISPLACED = 0.01


class OnePublisher:
    """Keeps the layouts of one publisher, as of a driver that orders its joints anew; drops others.

    What tells them apart: a layout that is regular by itself leaves nothing out, so what comes
    between its messages is another publisher's; what comes in its holes, or before or after it,
    may be its own.  The publisher with the most messages stays.
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
        if len(kept) > 1:
            kept = self._greatest(kept)
            self._foreign |= {piece.names for piece in pieces} - {piece.names for piece in kept}
        self.ignored += sum(len(piece.stamps_ns) for piece in pieces)
        self.ignored -= sum(len(piece.stamps_ns) for piece in kept)
        return kept

    def _greatest(self, pieces: list[JointSamples]) -> list[JointSamples]:
        """Return the pieces of the publisher with the most messages so far."""
        # Of as many, the arm's own before what gathers the joints of several publishers.
        pieces = sorted(pieces, key=lambda piece: (-self._messages[piece.names], len(piece.names)))
        rivals = _rivals(pieces)
        publishers: list[list[int]] = []
        for index in range(len(pieces)):
            for publisher in publishers:
                if not rivals[index, publisher].any():
                    publisher.append(index)
                    break
            else:
                publishers.append([index])
        greatest = max(
            publishers,
            key=lambda publisher: (
                sum(self._messages[pieces[index].names] for index in publisher),
                -min(len(pieces[index].names) for index in publisher),
            ),
        )
        return [pieces[index] for index in greatest]


def in_order_of_reception(pieces: Sequence[JointSamples]) -> np.ndarray:
    """Return the order in which the samples of all pieces, one after another, came: int [N]."""
    received = np.concatenate([piece.received_ns for piece in pieces])
    # A converter may give many messages one time of reception.
    return np.lexsort((np.concatenate([piece.stamps_ns for piece in pieces]), received))


def _rivals(pieces: Sequence[JointSamples]) -> np.ndarray:
    """Return which of the P pieces cannot be of one publisher: bool [P, P]."""
    counts = np.array([len(piece.stamps_ns) for piece in pieces])
    order = in_order_of_reception(pieces)
    whose = np.repeat(np.arange(len(pieces)), counts)[order]
    stamps = np.concatenate([piece.stamps_ns for piece in pieces])[order]
    rivals = np.zeros((len(pieces), len(pieces)), dtype=bool)
    for index in np.flatnonzero(counts > _FEWEST_STEPS):
        places = np.flatnonzero(whose == index)
        steps = np.diff(stamps[places])
        longest = _longest_usual(steps)
        if longest is None:
            continue
        between = np.zeros(len(whose), dtype=bool)
        # From each message of its own to the next, unless it left something out there.
        between[places[0] : places[-1]] = np.repeat(np.abs(steps) < longest, np.diff(places))
        between[places] = False
        found = np.bincount(whose[between], minlength=len(pieces))
        # Started again with another order, a driver may misplace one, however few follow.
        rivals[index] = found > np.maximum(1.0, _MISPLACED * counts)
    return rivals | rivals.T


def _longest_usual(steps: np.ndarray) -> float | None:
    """Return the step, in the unit of steps [N], from which on it is a hole; None: irregular."""
    # What comes twice under one stamp says nothing of the rate.
    steps = steps[steps != 0]
    if len(steps) < _FEWEST_STEPS:
        return None
    usual = float(np.median(steps))
    regular = np.abs(steps - usual) < USUAL_STEP * usual
    return (1 + USUAL_STEP) * usual if regular.mean() >= _REGULAR else None
