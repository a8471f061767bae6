"""An hour of 1 kHz joint states through the jerk monitor, as fast as it goes: memory and drift.

``python -m benchmarks.monitor_hour`` publishes to the real node in the same process and waits for
it, so that nothing is lost. The motion repeats every 10 s: the same jerk must come again, and the
process must not grow.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np

from smoothvla_ros.nanoseconds import NANOSECONDS, to_nanoseconds
from smoothvla_ros.ros_domain import free_domain

RATE_HZ = 1000.0
PERIOD_S = 10.0
MINUTES = 60.0
AT_MOST = {'growth_mb': 20.0, 'drift': 1e-6}

_BURST = 500
_WARM_PERIODS = 12
# Readings are ten samples apart.
_AGE_NS = 15_000_000
_REST = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])


def resident_mb() -> float:
    """Return the memory that this process occupies, MB."""
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 1e6


def measure(minutes: float = MINUTES) -> dict[str, float]:
    """Return growth after the first two minutes, drift of the jerk, and what it cost."""
    with free_domain() as domain:
        os.environ |= {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }
        return _measure(round(minutes * 60.0 / PERIOD_S))


def _measure(periods: int) -> dict[str, float]:
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.parameter import Parameter
    from sensor_msgs.msg import JointState

    from smoothvla_ros import msg
    from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor
    from smoothvla_ros.nodes.topics.quality_of_service import profiles
    from smoothvla_ros.nodes.topics.stamps import to_stamp

    rclpy.init()
    values = {'graph': 'real_arm', 'robots': 1, 'rate_hz': RATE_HZ}
    monitor = JerkMonitor(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
    arm, quality = Node('arm'), profiles('real_arm')
    publisher = arm.create_publisher(JointState, 'robot_0/joint_states', quality.joint_states)
    newest: list[msg.JerkState] = []

    def heard(message: msg.JerkState) -> None:
        newest[:] = [message]

    arm.create_subscription(msg.JerkState, 'robot_0/jerk', heard, quality.result)
    executor = SingleThreadedExecutor()
    for node in (monitor, arm):
        executor.add_node(node)
    monitor.autostart()
    robot = monitor._robots[0]
    while not (publisher.get_subscription_count() and arm.count_publishers('robot_0/jerk')):
        executor.spin_once(timeout_sec=0.1)

    samples = round(PERIOD_S * RATE_HZ)
    phase = 2 * np.pi * np.arange(samples) / samples
    course = (_REST + 0.02 * np.sin(5 * phase)[:, None] * np.linspace(0.5, 1.0, 7)).tolist()
    names = [f'panda_joint{i}' for i in range(1, 8)]
    # Stamps as a real driver gives them, 5% off the grid, the same ones every period.
    jitter = np.random.default_rng(0).uniform(-0.05, 0.05, samples)
    offsets = np.round((np.arange(samples) + jitter) / RATE_HZ * NANOSECONDS)
    offsets_ns = offsets.astype(int).tolist()
    start_ns, period_ns = time.time_ns(), round(PERIOD_S * NANOSECONDS)
    memory, jerks = [], []
    used, began = time.process_time(), time.monotonic()
    for period in range(periods):
        for index in range(samples):
            number = period * samples + index
            message = JointState(name=names, position=course[index])
            stamp_ns = start_ns + period * period_ns + offsets_ns[index]
            message.header.stamp = to_stamp(stamp_ns)
            publisher.publish(message)
            if index % _BURST == _BURST - 1:
                while robot.samples <= number:
                    executor.spin_once(timeout_sec=0.1)
        while not newest or stamp_ns - to_nanoseconds(newest[0].header.stamp) > _AGE_NS:
            executor.spin_once(timeout_sec=0.1)
        memory.append(resident_mb())
        jerks.append(newest[0].tool_jerk)
    used = time.process_time() - used
    elapsed = time.monotonic() - began
    monitor.stop()
    for node in (monitor, arm):
        node.destroy_node()
    rclpy.shutdown()
    later = np.array(jerks[1:])
    warm = min(_WARM_PERIODS, periods - 1)
    return {
        'minutes': periods * PERIOD_S / 60.0,
        'growth_mb': memory[-1] - memory[warm],
        'drift': float(np.ptp(later) / later.mean()),
        'missing_samples': float(periods * samples - robot.samples),
        'processor_seconds': used,
        'times_real_time': periods * PERIOD_S / elapsed,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=MINUTES, help='of joint states')
    for name, value in measure(parser.parse_args().minutes).items():
        print(f'{name:20s} {value:12.4g}')


if __name__ == '__main__':
    main()
