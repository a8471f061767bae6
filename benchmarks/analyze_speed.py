"""What `smoothvla analyze` costs: seconds and memory for an hour of seven joints at 1 kHz.

``python -m benchmarks.analyze_speed --minutes 60`` writes the bag, analyses it in a process of its
own on one core, and holds the bars. With fewer minutes the figures are carried to an hour.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from smoothvla_ros.nanoseconds import NANOSECONDS, seconds_and_rest

RATE_HZ = 1000
MINUTES = 6.0
AT_MOST = {'seconds_an_hour': 120.0, 'peak_memory_gb': 1.0}

_TYPE = 'sensor_msgs/msg/JointState'
_NAMES = [f'panda_joint{i}' for i in range(1, 8)]
_HOME = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])


def write(path: Path, minutes: float) -> None:
    """Write a bag of seven joints that move for 8 s and rest for 2, with jitter of 5%."""
    store = get_typestore(Stores.ROS2_JAZZY)
    joint_state, header = store.types[_TYPE], store.types['std_msgs/msg/Header']
    stamp = store.types['builtin_interfaces/msg/Time']
    rng = np.random.default_rng(0)
    nothing = np.empty(0)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/joint_states', _TYPE, typestore=store)
        for second in range(round(minutes * 60)):
            grid = second + np.arange(RATE_HZ) / RATE_HZ
            stamps = grid + rng.uniform(-0.05, 0.05, RATE_HZ) / RATE_HZ
            moving = np.clip(np.mod(stamps, 10.0) / 8.0, 0.0, 1.0)
            course = np.sin(np.pi * moving) ** 4 * np.sin(2 * np.pi * 4 * moving)
            positions = _HOME + 0.2 * course[:, None] * np.linspace(0.5, 1.0, 7)
            positions = np.round(positions / 1e-5) * 1e-5
            for at, row in zip((stamps + 1.0) * NANOSECONDS, positions, strict=True):
                message = joint_state(
                    header=header(stamp=stamp(*seconds_and_rest(int(at))), frame_id=''),
                    name=_NAMES,
                    position=row,
                    velocity=nothing,
                    effort=nothing,
                )
                writer.write(connection, int(at), store.serialize_cdr(message, _TYPE))


def analyse(path: Path) -> tuple[float, float]:
    """Run the command on one core; return its processor time, s, and its peak memory, GB."""
    command = [sys.executable, '-m', 'smoothvla_ros.cli', 'analyze', str(path)]
    command += ['--robot', 'panda', '--report', str(path.parent / 'report.html')]
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, after.ru_maxrss / 1e6


def measure(minutes: float = MINUTES) -> dict[str, float]:
    """Return seconds for an hour and peak memory.

    Two lengths are analysed and the line through them followed to an hour.
    """
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for part in (minutes / 6, minutes):
            path = Path(folder, f'minutes_{part:g}')
            write(path, part)
            found.append(analyse(path))
    (short, small), (long, large) = found
    slope = (long - short) / (minutes * 5 / 6)
    return {
        'minutes': minutes,
        'seconds': long,
        'seconds_an_hour': long + slope * (60.0 - minutes),
        'peak_memory_gb': large,
        'memory_growth_gb': large - small,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=MINUTES, help='length of the bag')
    started = time.perf_counter()
    for name, value in measure(parser.parse_args().minutes).items():
        print(f'{name:20s} {value:8.3f}')
    print(f'{"wall, with writing":20s} {time.perf_counter() - started:8.1f}')


if __name__ == '__main__':
    main()
