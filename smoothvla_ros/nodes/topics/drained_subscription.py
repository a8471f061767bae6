"""A subscription without a callback: its queue is emptied when its owner has time.

A 1 kHz joint_states costs 21 to 33% of a core through callbacks and 8% drained at 100 Hz.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile


class _NeverExecuted(CallbackGroup):
    """Keeps an executor from waking up for what is drained by hand."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        return None


def _nothing(message: Any) -> None:
    raise AssertionError('a drained subscription has no callback')


class DrainedSubscription:
    """Messages of one topic, in order, taken by `take_all`; the profile's depth must hold them."""

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        profile: QoSProfile,
        *,
        raw: bool = False,
    ) -> None:
        """raw: messages are taken as bytes, as they were sent."""
        self._type = message_type
        self._raw = raw
        self.subscription = node.create_subscription(
            message_type, topic, _nothing, profile, callback_group=_NeverExecuted()
        )

    def take_all(self) -> Iterator[Any]:
        """Yield every message that waits in the queue."""
        handle = self.subscription.handle
        with handle:
            while (taken := handle.take_message(self._type, self._raw)) is not None:
                yield taken[0]
