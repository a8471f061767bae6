"""Where the numbers of a serialised sensor_msgs/JointState stand.

Names hardly ever change from one message to the next, and with them not the places of the
numbers. So one message is parsed with care, and all that have the same bytes around their numbers
are read as columns of one array, a hundred times as fast.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECONDS

_HEADER = 4  # encapsulation: two bytes of representation, two of options
_STAMP = slice(_HEADER, _HEADER + 8)


@dataclass(frozen=True)
class JointStateLayout:
    """The bytes that messages of one kind share, and where their numbers are.

    names: of the joints.  size: of a message, bytes.  order: '<' or '>'.
    positions, velocities: first byte of each array; -1 where it is empty.
    shared: indices of the bytes in `template`.
    """

    names: tuple[str, ...]
    size: int
    order: str
    positions: int
    velocities: int
    shared: np.ndarray
    template: np.ndarray

    def same(self, messages: np.ndarray) -> np.ndarray:
        """Return which of the messages [N, size] uint8 have this layout: bool [N]."""
        return (messages.take(self.shared, axis=1) == self.template).all(axis=1)

    def stamps_ns(self, messages: np.ndarray) -> np.ndarray:
        """Return the stamps of messages [N, size] uint8: int64 [N] ns."""
        halves = np.ascontiguousarray(messages[:, _STAMP]).view(f'{self.order}u4')
        seconds = halves[:, 0].astype(np.int32).astype(np.int64)
        return seconds * NANOSECONDS + halves[:, 1].astype(np.int64)

    def numbers(self, messages: np.ndarray, first: int) -> np.ndarray:
        """Return the array that begins at byte `first` of each message: float64 [N, joints]."""
        stop = first + 8 * len(self.names)
        column = np.ascontiguousarray(messages[:, first:stop])
        return column.view(f'{self.order}f8').astype(np.float64)


def parse_layout(message: bytes) -> JointStateLayout:
    """Return the layout of one serialised JointState (CDR, version 1).

    Raises UserError where the bytes are not one.
    """
    try:
        return _Parser(message).layout()
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise UserError(f'a message of {len(message)} bytes is no JointState ({error})') from error


class _Parser:
    """Walks one message. Alignment counts from behind the encapsulation header."""

    def __init__(self, message: bytes) -> None:
        self._bytes = message
        if len(message) < _HEADER or message[0] != 0 or message[1] > 1:
            raise UserError('a JointState has an encapsulation that is not plain CDR')
        self._order = '<' if message[1] else '>'
        self._at = _HEADER
        self._numbers: list[tuple[int, int]] = [(_STAMP.start, _STAMP.stop)]

    def layout(self) -> JointStateLayout:
        self._at = _STAMP.stop
        self._text()
        names = tuple(self._text() for _ in range(self._count(self._remaining // 4)))
        positions = self._array(len(names))
        velocities = self._array(len(names))
        self._array(None)
        alike = np.ones(len(self._bytes), dtype=bool)
        for start, stop in self._numbers:
            alike[start:stop] = False
        shared = np.flatnonzero(alike)
        template = np.frombuffer(self._bytes, np.uint8)[shared]
        return JointStateLayout(
            names, len(self._bytes), self._order, positions, velocities, shared, template
        )

    @property
    def _remaining(self) -> int:
        return len(self._bytes) - self._at

    def _align(self, size: int) -> None:
        self._at += -(self._at - _HEADER) % size

    def _count(self, most: int) -> int:
        self._align(4)
        (count,) = struct.unpack_from(f'{self._order}I', self._bytes, self._at)
        self._at += 4
        if count > most:
            raise IndexError(f'{count} elements do not fit into it')
        return int(count)

    def _text(self) -> str:
        length = self._count(self._remaining)
        text = self._bytes[self._at : self._at + length]
        if len(text) != length:
            raise IndexError('it ends within a name')
        self._at += length
        return text.rstrip(b'\0').decode()

    def _array(self, expected: int | None) -> int:
        """Pass an array of doubles; return its first byte, or -1 where it has another length."""
        count = self._count(self._remaining // 8)
        if not count:
            return -1
        self._align(8)
        first, self._at = self._at, self._at + 8 * count
        if self._at > len(self._bytes):
            raise IndexError('it ends within an array')
        self._numbers.append((first, self._at))
        return first if expected in (None, count) else -1
