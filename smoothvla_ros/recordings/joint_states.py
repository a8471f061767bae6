"""JointState messages as blocks of arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from smoothvla_ros.recordings.joint_state_layout import JointStateLayout, parse_layout

JOINT_STATE = 'sensor_msgs/msg/JointState'
BLOCK_MESSAGES = 8192
# Of one topic. Where headers or names change without end, the newest are as good as any.
MOST_LAYOUTS = 32


@dataclass(frozen=True)
class JointSamples:
    """N messages in a row with the same joints, in order of reception.

    names: [n].  stamps_ns: int64 [N], of the headers.  received_ns: int64 [N].
    positions: [N, n] rad or m, or None where the messages hold none.  velocities: likewise.
    """

    names: tuple[str, ...]
    stamps_ns: np.ndarray
    received_ns: np.ndarray
    positions: np.ndarray | None
    velocities: np.ndarray | None


def joint_samples(
    messages: Iterable[tuple[str, int, bytes]], block: int = BLOCK_MESSAGES
) -> Iterator[tuple[JointSamples, ...]]:
    """Yield the messages of one topic as arrays, at most `block` of them at a time.

    messages: (topic, time of reception in ns, CDR bytes), as `Bag.messages` yields them.
    Several nodes may publish on one topic, each with joints of its own: of a block, each set of
    joints has its own arrays, the largest set first.
    Raises UserError for a message that is no JointState.
    """
    waiting = iter(messages)
    layouts: list[JointStateLayout] = []
    while taken := list(islice(waiting, block)):
        received = np.array([message[1] for message in taken], dtype=np.int64)
        pieces = decoded([message[2] for message in taken], received, layouts)
        yield tuple(sorted(pieces, key=lambda piece: -len(piece.names)))


def decoded(
    contents: list[bytes], received_ns: np.ndarray, layouts: list[JointStateLayout]
) -> Iterator[JointSamples]:
    """Yield the messages of one block, those of the same joints together, each set in order.

    received_ns: int64 [N], of the contents.  layouts: those known so far, the newest first; the
    ones that are met are added, and the oldest let go.  Raises as `joint_samples` does.
    """
    if layouts and all(len(content) == layouts[0].size for content in contents):
        table = np.frombuffer(b''.join(contents), np.uint8).reshape(len(contents), -1)
        if layouts[0].same(table).all():
            yield _samples(layouts[0], table, received_ns)
            return
    sizes = np.array([len(content) for content in contents])
    parts: dict[tuple[str, ...], list[tuple[np.ndarray, JointStateLayout, np.ndarray]]] = {}
    for size in np.unique(sizes):
        left = np.flatnonzero(sizes == size)
        table = np.frombuffer(b''.join(contents[i] for i in left), np.uint8)
        table = table.reshape(len(left), int(size))
        while len(left):
            for place, layout in enumerate(layouts):
                if layout.size == size and (same := layout.same(table)).any():
                    # The first one is tried first next time.
                    layouts.insert(0, layouts.pop(place))
                    break
            else:
                layouts.insert(0, parse_layout(contents[left[0]]))
                del layouts[MOST_LAYOUTS:]
                continue
            parts.setdefault(layout.names, []).append((left[same], layout, table[same]))
            left, table = left[~same], table[~same]
    for names, found in parts.items():
        yield _joined(names, found, received_ns)


def _samples(layout: JointStateLayout, table: np.ndarray, received_ns: np.ndarray) -> JointSamples:
    """Return messages [N, size] of one layout, as nearly all blocks are."""
    positions, velocities = (
        layout.numbers(table, first) if first >= 0 else None
        for first in (layout.positions, layout.velocities)
    )
    return JointSamples(layout.names, layout.stamps_ns(table), received_ns, positions, velocities)


def _joined(
    names: tuple[str, ...],
    parts: list[tuple[np.ndarray, JointStateLayout, np.ndarray]],
    received_ns: np.ndarray,
) -> JointSamples:
    """Put messages that differ in anything but their joints' names back in order."""
    index = np.concatenate([part[0] for part in parts])
    order = np.argsort(index, kind='stable')
    stamps = np.concatenate([layout.stamps_ns(table) for _, layout, table in parts])

    def numbers(field: str) -> np.ndarray | None:
        starts = [getattr(layout, field) for _, layout, _ in parts]
        if all(start < 0 for start in starts):
            return None
        columns = [
            layout.numbers(table, start)
            if start >= 0
            else np.full((len(table), len(names)), np.nan)
            for (_, layout, table), start in zip(parts, starts, strict=True)
        ]
        return np.concatenate(columns)[order]

    return JointSamples(
        names, stamps[order], received_ns[index[order]], numbers('positions'), numbers('velocities')
    )
