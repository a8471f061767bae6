"""A rosbag2 recording (MCAP, compressed) of serialised messages."""

from __future__ import annotations

from pathlib import Path

from rosbags.interfaces import Connection
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from smoothvla_ros.errors import UserError
from smoothvla_ros.writable_folder import check_writable


def check_new_recording(path: Path) -> None:
    """Raise UserError where a recording is already, or none can be made."""
    if path.exists():
        raise UserError(f'recording={path} exists already; record to another folder')
    check_writable(path, 'recording=')


class BagWriter:
    """Writes messages as they come; the recording is whole once `close` has returned."""

    def __init__(self, path: Path) -> None:
        """Make the folder of a new recording; raises UserError where that is not possible."""
        check_new_recording(path)
        self.path = path
        self._connections: dict[str, Connection] = {}
        self.counts: dict[str, int] = {}
        self._writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        try:
            self._writer.open()
        except OSError as error:
            raise UserError(f'{path} cannot be recorded to: {error.strerror}') from error

    def add_topic(self, topic: str, message_type: str, definition: str, digest: str) -> None:
        """Announce a topic.

        message_type: as in 'std_msgs/msg/String'.  definition: text of the type with all that it
        is made of.  digest: its RIHS01 hash.
        """
        self._connections[topic] = self._writer.add_connection(
            topic, message_type, msgdef=definition, rihs01=digest
        )
        self.counts[topic] = 0

    def write(self, topic: str, received_ns: int, content: bytes) -> None:
        """Append one serialised message of an announced topic; raises UserError on a full disk."""
        try:
            self._writer.write(self._connections[topic], received_ns, content)
        except OSError as error:
            raise UserError(f'{self.path}: recording failed: {error.strerror}') from error
        self.counts[topic] += 1

    def close(self) -> None:
        """Write the index; safe to call twice.  Raises UserError on a full disk."""
        if self._writer.storage is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            raise UserError(f'{self.path}: recording failed: {error.strerror}') from error
        finally:
            self._writer.storage = None
