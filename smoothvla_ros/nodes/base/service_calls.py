"""Services that grant or refuse, called one at a time by a node that must not wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from rclpy.client import Client
from rclpy.node import Node
from rclpy.task import Future

ANSWER_TIMEOUT_S = 5.0
# After a refusal: asked again at once, the answer would be the same.
REFUSED_PAUSE_S = 1.0


class Answer(Protocol):
    """What std_srvs/Trigger answers, and every service of that form."""

    success: bool
    message: str


class ServiceCalls:
    """Clients by name; a call that is not answered in time is given up, a late answer ignored."""

    def __init__(self, node: Node, kind: Any, services: Mapping[str, str]) -> None:
        """kind: the type of the services, which all have an `Answer`.  services: theirs by name."""
        self._clients = {
            name: node.create_client(kind, service) for name, service in services.items()
        }
        self._kind = kind
        self._pending: tuple[Client, Future] | None = None
        self._until_s = 0.0

    def is_pending(self, now_s: float) -> bool:
        """Whether an answer is awaited, or a refusal too fresh, at a time of `time.monotonic`."""
        if now_s < self._until_s:
            return True
        self._give_up()
        return False

    def send(
        self, name: str, now_s: float, answered: Callable[[Answer], None], **fields: Any
    ) -> None:
        """Call, unless nobody is there to answer; `answered` gets what comes.

        fields: of the request.
        """
        client = self._clients[name]
        if not client.service_is_ready():
            return
        future = client.call_async(self._kind.Request(**fields))
        self._pending, self._until_s = (client, future), now_s + ANSWER_TIMEOUT_S
        future.add_done_callback(lambda answer: self._on_answer(answer, answered))

    def _give_up(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            client, future = pending
            client.remove_pending_request(future)

    def _on_answer(self, answer: Future, answered: Callable[[Answer], None]) -> None:
        if self._pending is None or self._pending[1] is not answer:
            return
        self._pending = None
        response = answer.result()
        self._until_s = 0.0 if response.success else time.monotonic() + REFUSED_PAUSE_S
        answered(response)
