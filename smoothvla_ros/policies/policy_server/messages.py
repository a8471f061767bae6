"""What goes over the socket: msgpack, with NumPy arrays as openpi's clients and servers write them.

An array is a map of four entries whose names are bytes: `__ndarray__`, `data`, `dtype` and `shape`;
a NumPy number one of `__npgeneric__`, `data` and `dtype` (openpi_client, `msgpack_numpy`).
"""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np

from smoothvla_ros.errors import UserError

_ARRAY, _NUMBER = b'__ndarray__', b'__npgeneric__'
_PLAIN_KINDS = 'biuf'

# NumPy reads the text of a dtype as Python (SyntaxError), and a number may be too large for its.
_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    SyntaxError,
    msgpack.exceptions.UnpackException,
)


def pack(message: dict[str, Any]) -> bytes:
    """Return the bytes of a message of texts, numbers and NumPy arrays."""
    return msgpack.packb(message, default=_packed)


def unpack(data: bytes, sender: str) -> dict[Any, Any]:
    """Return the message of some bytes, with its arrays read-only.

    sender: named by the error.  Raises UserError for anything that is no such message.
    """
    try:
        message = msgpack.unpackb(data, object_hook=_unpacked)
    except _DAMAGED as error:
        line = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(f'{sender} sent what is no message of a policy server: {line}') from error
    if not isinstance(message, dict):
        raise UserError(
            f'{sender} sent {type(message).__name__}, a policy server sends a map; is it one?'
        )
    return message


def _packed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {
            _ARRAY: True,
            b'data': value.tobytes(),
            b'dtype': value.dtype.str,
            b'shape': value.shape,
        }
    if isinstance(value, np.generic):
        return {_NUMBER: True, b'data': value.item(), b'dtype': value.dtype.str}
    raise TypeError(f'{type(value).__name__} cannot be sent')


def _unpacked(entries: dict[Any, Any]) -> Any:
    if _ARRAY in entries:
        kind = _plain(entries[b'dtype'])
        return np.frombuffer(entries[b'data'], kind).reshape(entries[b'shape'])
    if _NUMBER in entries:
        return _plain(entries[b'dtype']).type(entries[b'data'])
    return entries


def _plain(name: str) -> np.dtype:
    """Return a dtype of numbers alone: what else there is may hold objects."""
    kind = np.dtype(name)
    if kind.kind not in _PLAIN_KINDS:
        raise ValueError(f'dtype {name!r} is not one of numbers')
    return kind
