"""How many simulated robots this machine keeps busy."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMORY_LIMIT_MB = 1200.0
"""What the process of one robot may take."""

AUTOMATIC = 'one a processor, 2 to 6, as half of the free memory holds'
"""How many there are where nobody says, for descriptions of that setting."""

# While a policy decides on a processor, which it does for one robot at a time, that robot could
# have simulated a fifth of a chunk: more than six would mostly wait for it.
MOST_ROBOTS = 6
_FEWEST_ROBOTS = 2  # while one waits for the policy the other simulates
_SHARE_OF_MEMORY = 0.5  # the policy, an update and everybody else have the rest


def robots_that_fit(most: int = MOST_ROBOTS, root: Path = Path('/')) -> int:
    """Return one robot a processor, as many as half of the free memory holds, at least two.

    What a container or a job may use (control groups, version 2) counts as the machine's.  Jobs
    that start at the same time do not see each other's.  What a rollout is does not depend on the
    number.  root: where /proc and /sys are.
    """
    processors, free_mb = float(len(os.sched_getaffinity(0))), _available_mb(root)
    for group in _control_groups(root):
        processors = min(processors, _processors(group))
        free_mb = min(free_mb, _free_mb(group))
    fitting = min(processors, _SHARE_OF_MEMORY * free_mb / MEMORY_LIMIT_MB, most)
    return max(_FEWEST_ROBOTS, int(fitting))


def _control_groups(root: Path) -> Iterator[Path]:
    """Yield the folders of this process's control group and of those around it."""
    mount = root / 'sys/fs/cgroup'
    for line in _read(root / 'proc/self/cgroup').splitlines():
        number, _, path = line.partition('::')
        if number == '0':  # version 2
            group = mount / path.lstrip('/')
            while group != mount:
                yield group
                group = group.parent
    yield mount


def _processors(group: Path) -> float:
    """Return how much of processors' time a group may use: ``cpu.max`` holds QUOTA PERIOD."""
    quota, _, period = _read(group / 'cpu.max').partition(' ')
    return float(quota) / float(period) if quota.isdigit() else math.inf


def _free_mb(group: Path) -> float:
    """Return what a group may still take; files in its cache give way."""
    limit, used = _read(group / 'memory.max').strip(), _read(group / 'memory.current').strip()
    if not limit.isdigit():
        return math.inf
    cached = _value(group / 'memory.stat', 'inactive_file')
    return (float(limit) - float(used or 0) + cached) / 2**20


def _available_mb(root: Path) -> float:
    kilobytes = _value(root / 'proc/meminfo', 'MemAvailable:')
    return kilobytes / 1024 if kilobytes else math.inf


def _value(file: Path, name: str) -> float:
    """Return the number that follows a name in a file of lines, 0 where there is none."""
    for line in _read(file).splitlines():
        words = line.split()
        if words[:1] == [name]:
            return float(words[1])
    return 0.0


def _read(file: Path) -> str:
    return file.read_text() if file.is_file() else ''
