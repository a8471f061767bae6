"""A queue that is emptied by hand."""

from __future__ import annotations

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.quality_of_service import profiles


def test_messages_wait_in_order_and_wake_no_executor(ros):
    """Nothing is lost, nothing comes twice, and a spinning executor never sees them."""
    node = Node('drained')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        profile = profiles('lock_step').joint_states
        publisher = node.create_publisher(String, 'drained_topic', profile)
        drained = DrainedSubscription(node, String, 'drained_topic', profile)
        for number in range(200):
            publisher.publish(String(data=str(number)))
        executor.spin_once(timeout_sec=0.2)
        assert [message.data for message in drained.take_all()] == [str(n) for n in range(200)]
        assert list(drained.take_all()) == []
    finally:
        executor.shutdown()
        node.destroy_node()
