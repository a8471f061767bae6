"""The definition of a message type, as a recording keeps it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from smoothvla_ros.errors import UserError


@functools.lru_cache
def message_definition(message_type: str) -> tuple[str, str]:
    """Return (text with all that it is made of, RIHS01 hash) of a type like std_msgs/msg/String.

    Raises UserError where a package that it needs is not installed.
    """
    store = _store()
    _register(store, message_type)
    text, _ = store.generate_msgdef(message_type, ros_version=2)
    return text, store.hash_rihs01(message_type)


@functools.lru_cache(maxsize=1)
def _store() -> Typestore:
    return get_typestore(Stores.ROS2_JAZZY)


def _register(store: Typestore, message_type: str) -> None:
    """Make a type known with every type that its fields have."""
    if message_type in store.types:
        return
    package, kind, name = message_type.split('/')
    try:
        share = get_package_share_directory(package)
    except PackageNotFoundError as error:
        raise UserError(
            f'recording {message_type}: package {package} is not installed; install it'
        ) from error
    file = Path(share, kind, f'{name}.msg')
    if not file.is_file():
        raise UserError(f'recording {message_type}: {file} is missing; install {package} again')
    found = get_types_from_msg(file.read_text(), message_type)
    for _, fields in found.values():
        for _, description in fields:
            inner = _named_type(description)
            if inner is not None:
                _register(store, inner)
    store.register(found)


def _named_type(description: Any) -> str | None:
    """Return the message type in a field's description: a name, or an array of one."""
    kind, content = description
    while kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        kind, content = content[0]
    return content if kind == Nodetype.NAME else None
