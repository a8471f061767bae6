"""What the jerk monitor costs: processor time and age of its news, from 1 kHz joint states.

``python -m benchmarks.monitor_cost`` runs the node in a process of its own, publishes at the rate
of an arm from this one, and looks at its markers, 20 pictures a second, where there is one robot.
Run it on a machine that does nothing else: latency is of wall time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from smoothvla_ros.ros_domain import free_domain

SECONDS = 20.0
AT_MOST = {
    'one_at_1000_hz.core_percent': 25.0,
    'one_at_1000_hz.p99_ms': 5.0,
    'eight_at_100_hz.core_percent': 60.0,
}
CASES = {'one_at_1000_hz': (1, 1000.0), 'eight_at_100_hz': (8, 100.0)}


def processor_seconds(process: int) -> float:
    """Return the processor time that a process has used so far, s."""
    fields = Path(f'/proc/{process}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def case(robots: int, rate_hz: float, seconds: float) -> dict[str, float]:
    """Return the share of a core and the 99th percentile of sample to JerkState."""
    command = [sys.executable, '-m', 'smoothvla_ros.nodes.jerk_monitor.node', '--ros-args']
    for name, value in (('robots', robots), ('rate_hz', rate_hz), ('graph', 'real_arm')):
        command += ['-p', f'{name}:={value}']
    with free_domain() as domain:
        os.environ |= {
            'ROS_DOMAIN_ID': str(domain),
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        }
        monitor = subprocess.Popen(command)
        try:
            return _measure(monitor.pid, robots, rate_hz, seconds)
        finally:
            monitor.terminate()
            monitor.wait()


def _measure(process: int, robots: int, rate_hz: float, seconds: float) -> dict[str, float]:
    import rclpy
    from rclpy.node import Node
    from sensor_msgs.msg import JointState
    from visualization_msgs.msg import MarkerArray

    from smoothvla_ros import msg
    from smoothvla_ros.nanoseconds import to_nanoseconds
    from smoothvla_ros.nodes.base.executors import spinning
    from smoothvla_ros.nodes.topics.quality_of_service import profiles
    from smoothvla_ros.nodes.topics.stamps import to_stamp

    rclpy.init()
    node, quality = Node('arm'), profiles('real_arm')
    ages: list[float] = []

    def heard(message: msg.JerkState) -> None:
        ages.append((time.time_ns() - to_nanoseconds(message.header.stamp)) * 1e-6)

    publishers = []
    for index in range(robots):
        name = f'robot_{index}'
        publishers.append(
            node.create_publisher(JointState, f'{name}/joint_states', quality.joint_states)
        )
        node.create_subscription(msg.JerkState, f'{name}/jerk', heard, quality.result)
    if robots == 1:
        node.create_subscription(MarkerArray, 'robot_0/jerk_markers', lambda _: None, 5)
    joints = [f'panda_joint{i}' for i in range(1, 8)]
    rest = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])
    with spinning(node, drains_topics=False):
        while not all(publisher.get_subscription_count() for publisher in publishers):
            time.sleep(0.01)
        began, used = time.monotonic(), processor_seconds(process)
        for tick in range(round(seconds * rate_hz)):
            positions = (rest + 0.02 * np.sin(2 * np.pi * 0.5 * tick / rate_hz)).tolist()
            for publisher in publishers:
                message = JointState(name=joints, position=positions)
                message.header.stamp = to_stamp(time.time_ns())
                publisher.publish(message)
            time.sleep(max(0.0, began + (tick + 1) / rate_hz - time.monotonic()))
        elapsed = time.monotonic() - began
        used = processor_seconds(process) - used
    node.destroy_node()
    rclpy.shutdown()
    return {
        'core_percent': 100.0 * used / elapsed,
        'median_ms': float(np.median(ages)),
        'p99_ms': float(np.percentile(ages, 99)),
        'rate_reached_hz': round(seconds * rate_hz) / elapsed,
    }


def measure(seconds: float = SECONDS) -> dict[str, float]:
    """Return the figures of both cases."""
    return {
        f'{name}.{figure}': value
        for name, (robots, rate_hz) in CASES.items()
        for figure, value in case(robots, rate_hz, seconds).items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--seconds', type=float, default=SECONDS, help='length of each case')
    for name, value in measure(parser.parse_args().seconds).items():
        print(f'{name:36s} {value:8.2f}')


if __name__ == '__main__':
    main()
