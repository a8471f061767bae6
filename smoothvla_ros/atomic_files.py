"""Files and folders that appear whole or not at all, and are on the disk when they appear.

Everything is written beside its place first. A rename alone is no promise: after a power cut a file
system may know the new name and not the content, so the content is synchronised before the name is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITING = '.writing'
PREVIOUS = '.previous'


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file, its folders too where they are missing; text as UTF-8.  Raises OSError."""
    with new_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Yield a path to write to; when the block ends, that file takes the place of `path`.

    After an error in the block, or a kill, `path` is as it was.  Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # No suffix of a file that anyone looks for.
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    try:
        yield temporary
        _synchronise(temporary)
        os.replace(temporary, path)
        _synchronise(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; when the block ends, it takes the place of `folder`.

    After an error in the block `folder` is as it was.  A kill leaves at most ``folder.writing``,
    and in the moment between two renames the old one as ``folder.previous``; the next call removes
    both.  Raises OSError.
    """
    temporary = folder.with_name(f'{folder.name}{WRITING}')
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for path in (*temporary.rglob('*'), temporary):
            _synchronise(path)
        previous = folder.with_name(f'{folder.name}{PREVIOUS}')
        shutil.rmtree(previous, ignore_errors=True)
        if folder.exists():
            os.replace(folder, previous)
        os.replace(temporary, folder)
        _synchronise(folder.parent)
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _synchronise(path: Path) -> None:
    """Return when a file's content, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
