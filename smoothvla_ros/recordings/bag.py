"""A rosbag2 recording as messages in order of time; whatever is wrong with it in one line."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import apsw
from backports.zstd import ZstdError
from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError

from smoothvla_ros.errors import UserError

_STORAGES = ('.mcap', '.db3')
_MCAP_MAGIC = b'\x89MCAP0\r\n'
_SQLITE_MAGIC = b'SQLite format 3\0'
# No CDR begins so: its first byte is 0.
_ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
# What the readers and decompressors raise on bytes that are not what they should be.
_DAMAGE = (
    ReaderError,
    apsw.Error,
    struct.error,
    ValueError,
    TypeError,
    KeyError,
    RuntimeError,
    EOFError,
    OverflowError,
    MemoryError,
    ZstdError,
)


@dataclass(frozen=True)
class Topic:
    """One topic of a recording.  type: as in 'sensor_msgs/msg/JointState'."""

    name: str
    type: str
    messages: int


class Bag:
    """One recording: a rosbag2 folder, or one of its files alone. A context manager."""

    def __init__(self, path: Path) -> None:
        """Open a recording; raises UserError where it is missing, truncated or no recording."""
        self.path = path
        self._storage = _storage(path)
        with self._errors():
            self._reader = Reader(self._storage)
            self._reader.open()

    def __enter__(self) -> Bag:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the files."""
        self._reader.close()

    @property
    def topics(self) -> tuple[Topic, ...]:
        """What was recorded, by name."""
        return tuple(
            Topic(name, str(info.msgtype), info.msgcount)
            for name, info in sorted(self._reader.topics.items())
        )

    def of_type(self, message_type: str) -> tuple[Topic, ...]:
        """Return the topics of one type that have messages."""
        return tuple(t for t in self.topics if t.type == message_type and t.messages)

    def require(self, message_type: str, name: str | None = None) -> Topic:
        """Return the topic of this name, or the only one of this type.

        Raises UserError where there is none, or more than one to choose from.
        """
        if not self._reader.message_count:
            raise UserError(f'{self.path} holds no messages: nothing was recorded')
        found = self.of_type(message_type)
        if name is not None:
            wanted = name if name.startswith('/') else f'/{name}'
            for topic in found:
                if topic.name in (name, wanted):
                    return topic
            raise UserError(
                f'{self.path} has no {message_type} on {name!r}; its topics are {self._listing()}'
            )
        if not found:
            raise UserError(f'{self.path} has no {message_type}; its topics are {self._listing()}')
        if len(found) > 1:
            names = ', '.join(topic.name for topic in found)
            raise UserError(
                f'{self.path} has {message_type} on {len(found)} topics: {names}; '
                f'choose one, as with topic={found[0].name}'
            )
        return found[0]

    def messages(self, topics: Sequence[str]) -> Iterator[tuple[str, int, bytes]]:
        """Yield (topic, time of reception in ns, CDR bytes) in order of reception.

        Raises UserError where the recording turns out to be damaged, or its messages compressed
        without metadata.yaml, which alone says so.
        """
        chosen: list[Connection] = [c for c in self._reader.connections if c.topic in topics]
        if not chosen:
            return
        found, announced = 0, sum(connection.msgcount for connection in chosen)
        with self._errors():
            for connection, received_ns, content in self._reader.messages(chosen):
                found += 1
                # Where one is compressed, all are.
                if found == 1 and bytes(content[: len(_ZSTD_MAGIC)]) == _ZSTD_MAGIC:
                    raise UserError(
                        f'{self._storage}: its messages are compressed: give the folder with '
                        f'metadata.yaml, {self._storage.absolute().parent}'
                    )
                yield connection.topic, received_ns, content
            if found != announced:
                raise ReaderError(f'{found} of {announced} messages are there')

    def message_definition(self, topic: str) -> tuple[str, str]:
        """Return (type, definition text) of a topic; the text is '' where none was recorded."""
        for connection in self._reader.connections:
            if connection.topic == topic:
                return connection.msgtype, connection.msgdef.data
        raise UserError(f'{self.path} has no topic {topic!r}; it has {self._listing()}')

    def _listing(self) -> str:
        return ', '.join(f'{topic.name} ({topic.type})' for topic in self.topics) or 'none'

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what goes wrong while reading into one line that says which file and what to do."""
        try:
            yield
        except UserError:
            raise
        except OSError as error:
            raise UserError(f'{self._storage} cannot be read: {error.strerror or error}') from error
        except _DAMAGE as error:
            detail = ' '.join(str(error).split()) or type(error).__name__
            raise UserError(
                f'{self._storage} is damaged ({detail}); record again, or recover what is intact '
                'with `mcap recover` (MCAP) or `sqlite3 FILE .recover` (SQLite)'
            ) from error


def _storage(path: Path) -> Path:
    """Return what the reader is to open, having looked for the usual accidents.

    Raises UserError for them.
    """
    if not path.exists():
        raise UserError(f'{path} does not exist; give a rosbag2 folder, an .mcap or a .db3 file')
    files = [path] if path.is_file() else sorted(f for s in _STORAGES for f in path.glob(f'*{s}'))
    for file in files:
        _check_file(file)
    if path.is_file():
        if path.suffix not in _STORAGES:
            raise UserError(
                f'{path} is no recording that is known here; give a rosbag2 folder, an .mcap or a '
                '.db3 file'
            )
        return path
    if (path / 'metadata.yaml').is_file():
        return path
    if len(files) == 1:
        return files[0]
    if files:
        raise UserError(
            f'{path} has {len(files)} files but no metadata.yaml: the recorder was killed; '
            f'run `ros2 bag reindex {path}`, or give one of the files'
        )
    raise UserError(f'{path} holds no recording: neither metadata.yaml nor .mcap or .db3 files')


def _check_file(file: Path) -> None:
    size = file.stat().st_size
    if size == 0:
        raise UserError(f'{file} is empty (0 bytes): nothing was recorded')
    magic = _MCAP_MAGIC if file.suffix == '.mcap' else _SQLITE_MAGIC
    if file.suffix not in _STORAGES:
        return
    with file.open('rb') as content:
        if not content.read(len(magic)).startswith(magic[: min(size, len(magic))]):
            raise UserError(f'{file} is not {file.suffix[1:]}: its first bytes are something else')
        if file.suffix == '.mcap':
            content.seek(max(0, size - len(magic)))
            if size < 2 * len(magic) or content.read() != magic:
                raise UserError(
                    f'{file} is truncated: it ends after {size} bytes without the end of an MCAP, '
                    'as when the recorder is killed; recover what is intact with '
                    f'`mcap recover {file.name} -o recovered.mcap`'
                )
