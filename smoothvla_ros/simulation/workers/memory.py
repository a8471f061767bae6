"""What this process holds in memory, and giving back what it does not need."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path

import mujoco

_MEMORY = Path('/proc/self/smaps_rollup')
# From malloc.h of the GNU C library.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE_BLOCK_BYTES = 1 << 20
_ASSET_CACHE_BYTES = 100 << 20


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


def bound_asset_cache() -> None:
    """Let MuJoCo keep decoded meshes, which many scenes share, but not hundreds of MB of textures.

    With its meshes kept, compiling a scene again takes a third of the time.
    """
    cache = mujoco.mj_getCache()
    if mujoco.mj_getCacheCapacity(cache) > _ASSET_CACHE_BYTES:
        mujoco.mj_setCacheCapacity(cache, _ASSET_CACHE_BYTES)
