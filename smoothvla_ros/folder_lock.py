"""One writer a folder: a lock that the kernel lets go of however its process ends."""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import TracebackType

from smoothvla_ros.errors import UserError

LOCK = '.lock'


class FolderInUse(UserError):
    """Another process writes to the folder."""


class FolderLock:
    """Hold a folder, made where it is missing; a context manager that lets go of it at the end."""

    def __init__(self, folder: Path, setting: str) -> None:
        """setting: how a user calls the folder, for the errors, `output=` for example.

        Raises FolderInUse, or UserError if the folder cannot be written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / LOCK).open('w')
        except OSError as error:
            raise UserError(
                f'{setting}{folder} cannot be written: {error.strerror}; choose another folder'
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise FolderInUse(
                f'{setting}{folder} is in use by another process; wait or choose another folder'
            ) from error

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go of the folder; the lock's file stays."""
        self._file.close()
