"""The one error that a user is meant to read."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


class UserError(Exception):
    """Something the user can put right: a bad value, a missing file, an unwritable folder.

    The message is one line and names the value, the place it came from and the remedy. Command
    line entry points print it without a traceback and exit with status 2.
    """


@contextlib.contextmanager
def disk_errors(place: str) -> Iterator[None]:
    """Let a block of writing below `place` fail with a UserError where the disk is at fault.

    A disk can be full, or its quota, at every single write of a job; whatever else goes wrong with
    a file is an error of the program and stays what it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise UserError(
            f'{place} cannot be written: {error.strerror}; free the disk and start again, or '
            'choose another folder'
        ) from error
