"""Built environments of one process, kept as long as memory allows."""

from __future__ import annotations

import ctypes
import gc
from collections import OrderedDict
from pathlib import Path

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering import RenderSettings

_STATUS = Path('/proc/self/status')
# Before a first environment is built nothing is known of what one needs.
_FIRST_ESTIMATE_MB = 300.0


class EnvironmentCache:
    """Hands out environments by task; the least recently used give way when memory is short."""

    def __init__(self, render: RenderSettings, memory_limit_mb: float) -> None:
        """memory_limit_mb: that this process should stay below, its libraries included."""
        self._render = render
        self._memory_limit_mb = memory_limit_mb
        self._environments: OrderedDict[tuple[str, int], Environment] = OrderedDict()
        self._largest_mb = _FIRST_ESTIMATE_MB

    def __len__(self) -> int:
        """Return the number of environments that are built."""
        return len(self._environments)

    def get(self, suite: str, task: int) -> Environment:
        """Return the environment of a task, built if need be.

        Raises UserError for an unknown suite or task.
        """
        key = (suite, task)
        if key not in self._environments:
            found = tasks.task(suite, task)
            self._make_room()
            self._environments[key] = Environment(found, self._render)
        self._environments.move_to_end(key)
        return self._environments[key]

    def _make_room(self) -> None:
        while self._environments and resident_mb() + self._largest_mb > self._memory_limit_mb:
            self._environments.popitem(last=False)[1].close()
            release_free_memory()


def resident_mb() -> float:
    """Return the memory that this process holds, MB; 0 where the system does not tell."""
    if not _STATUS.exists():
        return 0.0
    for line in _STATUS.read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1024
    return 0.0


def release_free_memory() -> None:
    """Return memory that was freed to the system, where the C library can."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)
    if trim is not None:
        trim(0)
