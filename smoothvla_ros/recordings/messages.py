"""Any recorded message, decoded by the definition that was recorded with it."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smoothvla_ros.errors import UserError
from smoothvla_ros.recordings.bag import Bag

_HEADER = 4  # CDR's encapsulation
_NO_DEFINITION = 'record with MCAP, or with rosbag2 of Iron or later, which keep definitions'


class MessageDecoder:
    """Decodes the messages of one recording; fields as in their .msg files, arrays as NumPy's."""

    def __init__(self, bag: Bag) -> None:
        """Take an open recording."""
        self._bag = bag
        self._store: Typestore = get_typestore(Stores.ROS2_JAZZY)
        self._types: dict[str, str] = {}

    def decode(self, topic: str, content: bytes) -> Any:
        """Return the message with the fields of its type.

        Raises UserError where no definition was recorded or the bytes do not follow it.
        """
        if topic not in self._types:
            self._types[topic] = self._register(topic)
        message_type = self._types[topic]
        definition = self._store.get_msgdef(message_type)
        try:
            # Not deserialize_cdr: that refuses the padding that some middlewares leave at the end.
            little = content[1] == 1
            read = definition.deserialize_cdr_le if little else definition.deserialize_cdr_be
            return read(content[_HEADER:], 0, definition.cls, self._store)[0]
        except (SerdeError, struct.error, ValueError, IndexError) as error:
            raise UserError(
                f'{self._bag.path}: a message on {topic} is no {message_type} ({error})'
            ) from error

    def _register(self, topic: str) -> str:
        message_type, definition = self._bag.message_definition(topic)
        if message_type in self._store.types:
            return message_type
        if not definition:
            raise UserError(
                f'{self._bag.path}: {topic} has no definition of {message_type}; {_NO_DEFINITION}'
            )
        try:
            found = get_types_from_msg(definition, message_type)
            known = self._store.types
            self._store.register({name: t for name, t in found.items() if name not in known})
        except TypesysError as error:
            raise UserError(
                f'{self._bag.path}: the definition of {message_type} cannot be read ({error})'
            ) from error
        return message_type


def rgb_image(message: Any) -> np.ndarray:
    """Return uint8 [height, width, 3] of a sensor_msgs/Image; rollouts hold no other encoding.

    Raises UserError for another.
    """
    if message.encoding != 'rgb8':
        raise UserError(f'a rollout has an image in {message.encoding!r}; expected rgb8')
    rows = np.asarray(message.data, np.uint8).reshape(message.height, message.step)
    pixels = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
    return np.ascontiguousarray(pixels)
