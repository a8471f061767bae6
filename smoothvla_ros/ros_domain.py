"""A ROS domain for each run, so that two runs on one machine never hear each other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from smoothvla_ros.errors import UserError

DOMAIN = 'ROS_DOMAIN_ID'
DISCOVERY_RANGE = 'ROS_AUTOMATIC_DISCOVERY_RANGE'

# What Linux's ephemeral ports leave free for DDS; 0 is everybody's who chose none.
DOMAINS = range(1, 102)


@contextmanager
def free_domain(folder: Path | None = None) -> Iterator[int]:
    """Hold a domain of `DOMAINS` that no other run of this user holds.

    folder: where the lock files lie; None is the user's runtime folder. The kernel frees the
    domain when the process dies, however it dies.
    Raises UserError when every domain is taken.
    """
    folder = folder if folder is not None else runtime_folder()
    # Users do not see each other's locks, so each begins elsewhere.
    first = os.getuid() % len(DOMAINS)
    for domain in (*DOMAINS[first:], *DOMAINS[:first]):
        lock = os.open(folder / f'ros_domain_{domain}.lock', os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield domain
            return
        finally:
            os.close(lock)
    raise UserError(
        f'ROS_DOMAIN_ID: all {len(DOMAINS)} domains are locked in {folder}; end one of the runs'
    )


def runtime_folder() -> Path:
    """Return this user's own folder for lock files, made when it is missing.

    Raises UserError when the name is taken by someone else.
    """
    base = Path(os.environ.get('XDG_RUNTIME_DIR') or tempfile.gettempdir())
    folder = base / f'smoothvla_ros_{os.getuid()}'
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
    except OSError as error:
        raise UserError(
            f'lock folder {folder}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours'
        ) from error
    if owner != os.getuid() or folder.is_symlink():
        raise UserError(
            f'lock folder {folder} is not yours; set XDG_RUNTIME_DIR to a folder of yours'
        )
    return folder
