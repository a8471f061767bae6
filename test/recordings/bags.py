"""Recordings to test with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

STORE = get_typestore(Stores.ROS2_JAZZY)
_TYPE = 'sensor_msgs/msg/JointState'
_Message = STORE.types[_TYPE]
_Header = STORE.types['std_msgs/msg/Header']
_Time = STORE.types['builtin_interfaces/msg/Time']


def serialised(
    stamp_ns: int,
    names: list[str],
    positions: np.ndarray,
    velocities: np.ndarray | None = None,
    effort: np.ndarray | None = None,
    frame: str = '',
    little_endian: bool = True,
) -> bytes:
    """Return a JointState as rosbags writes it."""
    nothing = np.empty(0)
    message = _Message(
        header=_Header(stamp=_Time(*divmod(stamp_ns, 10**9)), frame_id=frame),
        name=names,
        position=np.ascontiguousarray(positions, np.float64),
        velocity=nothing if velocities is None else np.asarray(velocities, np.float64),
        effort=nothing if effort is None else np.asarray(effort, np.float64),
    )
    return bytes(STORE.serialize_cdr(message, _TYPE, little_endian=little_endian))


def write_bag(
    path: Path,
    stamps_s: np.ndarray,
    positions: np.ndarray,
    names: list[str],
    velocities: np.ndarray | None = None,
    *,
    plugin: StoragePlugin = StoragePlugin.MCAP,
    topic: str = '/joint_states',
    stamped: bool = True,
    received_s: np.ndarray | None = None,
) -> Path:
    """Write a rosbag2 folder with one JointState topic; returns the folder."""
    received = stamps_s if received_s is None else received_s
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connection = writer.add_connection(topic, _TYPE, typestore=STORE)
        for i, (stamp, at) in enumerate(zip(stamps_s, received, strict=True)):
            stamp_ns = round(stamp * 1e9) if stamped else 0
            content = serialised(
                stamp_ns, names, positions[i], None if velocities is None else velocities[i]
            )
            writer.write(connection, 10**18 + round(at * 1e9), content)
    return path


def write_messages(
    path: Path,
    messages: list[tuple[float, list[str], np.ndarray]],
    received_s: np.ndarray | None = None,
) -> Path:
    """Write (stamp s, names, positions) of several publishers on /joint_states, as they came.

    received_s: when each came, s; None: at its stamp.
    """
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/joint_states', _TYPE, typestore=STORE)
        for index, (stamp, names, positions) in enumerate(messages):
            content = serialised(round(stamp * 1e9), names, positions)
            at = stamp if received_s is None else received_s[index]
            writer.write(connection, 10**18 + round(at * 1e9), content)
    return path
