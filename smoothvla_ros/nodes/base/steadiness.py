"""What spares a process that has a period to hold its long pauses: collections, and disks."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
from collections.abc import Iterator
from pathlib import Path

# Of linux/mman.h.
_POPULATE_READ = 22
_LOCK_CURRENT, _LOCK_ON_FAULT = 1, 4
_KILOBYTE = 1024


def freeze_garbage_collector() -> None:
    """Spare a loop the collector's long pauses: a full collection of what is loaded takes 16 ms.

    What is made from now on is still collected; that is little and takes 0.1 ms.
    """
    gc.collect()
    gc.freeze()


def hold_in_memory() -> str:
    """Read the whole program into memory and lock it there; return why it could not be locked.

    A part that is used for the first time, or was pushed out by programs that need memory, would
    have to be read from a disk, in the middle of a period: milliseconds, and a second where the
    disk is busy. What is allocated later is not locked: beyond the limit (`ulimit -l`) that would
    be refused, and end the process.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for start, size in _program():
        # Refused by kernels before 5.14, and past the end of a file: it is then read when used.
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(size), _POPULATE_READ)
    if libc.mlockall(_LOCK_CURRENT | _LOCK_ON_FAULT) == 0:
        return ''
    reason = os.strerror(ctypes.get_errno())
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit == resource.RLIM_INFINITY:
        return f'memory is not locked: {reason}'
    return (
        f'memory is not locked: {reason}; the limit is {limit // _KILOBYTE} kB, the process has '
        f'{_virtual_kilobytes()} kB (memlock in /etc/security/limits.conf)'
    )


def _program() -> Iterator[tuple[int, int]]:
    """Yield address and size of each part of a file that this process maps for itself."""
    # Bytes: the name at a line's end may be of any encoding.
    for line in Path('/proc/self/maps').read_bytes().splitlines():
        addresses, permissions, _, _, inode = line.split()[:5]
        # Memory that is shared is a way to other processes and no program.
        if inode != b'0' and permissions.startswith(b'r') and permissions.endswith(b'p'):
            start, end = (int(word, 16) for word in addresses.split(b'-'))
            yield start, end - start


def _virtual_kilobytes() -> int:
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    return pages * resource.getpagesize() // _KILOBYTE
