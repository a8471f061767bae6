"""The heartbeat of a node that is busy."""

from __future__ import annotations

import threading

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Header
from waiting import spin_until

from smoothvla_ros.nodes.base.heartbeat import Heartbeat


def test_heartbeat_beats_from_a_thread_of_its_own(ros):
    """While nobody spins its node, which stands for a long inference."""
    node, listener, heard = Node('beating'), Node('listening'), []
    listener.create_subscription(Header, 'robot_7/heartbeat', heard.append, 10)
    executor = SingleThreadedExecutor()
    executor.add_node(listener)
    heartbeat = Heartbeat(node, ['robot_7/heartbeat'], 0.02, 10)
    heartbeat.start()
    try:
        spin_until(executor, lambda: len(heard) > 3)
    finally:
        heartbeat.stop()
    assert not any(thread.name == 'heartbeat' for thread in threading.enumerate())
    executor.shutdown()
    node.destroy_node()
    listener.destroy_node()
