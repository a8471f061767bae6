"""How many simulated robots this machine keeps busy."""

from __future__ import annotations

import os
from pathlib import Path

# One policy answers all of them, one observation at a time: while it does, a robot simulates a
# fifth of a chunk, so that more than six would mostly wait for it.
_MOST_ROBOTS = 6
_ROBOT_MB = 1200.0
_OTHERS_MB = 3000.0  # trainer, policy, bridge and monitor, and an update


def robots_that_fit(root: Path = Path('/')) -> int:
    """Return one robot a processor, at most as many as memory holds and one policy serves.

    Limits of a container (control groups, version 2) count as the machine's.  What a rollout is
    does not depend on the number.  root: where /proc and /sys are.
    """
    group = root / 'sys/fs/cgroup'
    processors = min(float(len(os.sched_getaffinity(0))), _processor_limit(group / 'cpu.max'))
    free_mb = min(_available_mb(root / 'proc/meminfo'), _memory_limit_mb(group / 'memory.max'))
    fitting = int(min(processors, (free_mb - _OTHERS_MB) / _ROBOT_MB, _MOST_ROBOTS))
    return max(1, fitting)


def _processor_limit(file: Path) -> float:
    """Return the processors' time that may be used, in processors: ``cpu.max`` is QUOTA PERIOD."""
    quota, _, period = _read(file).partition(' ')
    return float(quota) / float(period) if quota.isdigit() else float('inf')


def _memory_limit_mb(file: Path) -> float:
    limit = _read(file).strip()
    return float(limit) / 2**20 if limit.isdigit() else float('inf')


def _available_mb(file: Path) -> float:
    for line in _read(file).splitlines():
        if line.startswith('MemAvailable:'):
            return float(line.split()[1]) / 1024
    return float('inf')


def _read(file: Path) -> str:
    return file.read_text() if file.is_file() else ''
