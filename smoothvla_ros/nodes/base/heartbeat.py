"""A sign of life that a long inference does not delay: it is sent by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header


class Heartbeat:
    """Publishes a Header on several topics at a steady pace, between `start` and `stop`."""

    def __init__(
        self, node: Node, topics: Sequence[str], period_s: float, quality: QoSProfile
    ) -> None:
        self._clock = node.get_clock()
        self._publishers = [node.create_publisher(Header, topic, quality) for topic in topics]
        self._period_s = period_s
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to beat."""
        self._ended.clear()
        self._thread = threading.Thread(target=self._beat, name='heartbeat', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat no more once this returns; may be called more than once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _beat(self) -> None:
        while not self._ended.wait(self._period_s):
            for publisher in self._publishers:
                publisher.publish(Header(stamp=self._clock.now().to_msg()))
