"""Which executor spins a node, and in which thread.

rclpy's single-threaded executor gathers everything that the node has twice for each message that
comes: a millisecond of processor time, more than most callbacks take. Its events executor gathers
nothing and needs a third of that. It takes every message at once, though, so a node that leaves
messages in their queues (`drained_subscription`) keeps the other.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node

try:
    from rclpy.experimental.events_executor import EventsExecutor
except ImportError:  # a Jazzy from before 2025 has none
    EventsExecutor = None  # type: ignore[assignment]

# `spin` of rclpy 7.1.5's events executor turns without a pause; with a timeout it waits.
_LOOK_S = 1.0


@contextlib.contextmanager
def spinning(node: Node, *, drains_topics: bool = True) -> Iterator[None]:
    """Spin a node in another thread for as long as the block runs.

    drains_topics: whether it has a `DrainedSubscription`; the cheaper executor is for one that has
    none.
    """
    events = EventsExecutor is not None and not drains_topics
    executor = EventsExecutor() if events else SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        with contextlib.suppress(ExternalShutdownException):
            if not events:
                executor.spin()
            while not ended.is_set() and node.context.ok():
                executor.spin_once(timeout_sec=_LOOK_S)

    thread = threading.Thread(target=spin, name='executor')
    thread.start()
    try:
        yield
    finally:
        ended.set()
        executor.shutdown()
        thread.join()
