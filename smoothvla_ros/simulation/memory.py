"""What this process holds in memory, and giving back what it does not need."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mujoco

_MEMORY = Path('/proc/self/smaps_rollup')
# From malloc.h of the GNU C library.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BLOCK_BYTES = 1 << 20


def proportional_mb() -> float:
    """Return the memory of this process, MB, shared libraries by its share; 0 where not told."""
    if not _MEMORY.exists():
        return 0.0
    for line in _MEMORY.read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) / 1024
    return 0.0


def release_free_memory() -> None:
    """Return memory that was freed to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)


def keep_allocator_lean() -> None:
    """Make the C library return large blocks at once and keep one heap for all threads.

    MuJoCo compiles a model with several threads; each would leave a heap of its own behind,
    together some 100 MB.  Nothing happens where the C library has no such options.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


@contextmanager
def nothing_cached() -> Iterator[None]:
    """Keep MuJoCo from holding on to hundreds of MB of decoded files."""
    cache = mujoco.mj_getCache()
    capacity = mujoco.mj_getCacheCapacity(cache)
    mujoco.mj_setCacheCapacity(cache, 0)
    try:
        yield
    finally:
        mujoco.mj_setCacheCapacity(cache, capacity)
