"""A lifecycle node that can bring itself up and that says why it could not."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor
from rclpy.action import ActionClient
from rclpy.client import Client
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.service import Service
from rclpy.subscription import Subscription
from rclpy.timer import Timer

from smoothvla_ros.errors import UserError

Entity = Publisher | Subscription | Timer | Service | Client | ActionClient


class AutostartNode(LifecycleNode):
    """Base of the graph's nodes: implement `configure`, `activate`, `deactivate` and `stop`.

    With the parameter `autostart` the node configures and activates itself; without it, it waits
    for the transitions, as any lifecycle node.

    drains_topics: see `nodes.base.executors.spinning`; looked at when the node is spun.  end: ends
    the node's process with exit status 0, from any of its threads; nothing where somebody else
    spins the node.
    """

    drains_topics = True

    def __init__(self, name: str, **arguments: Any) -> None:
        super().__init__(name, **arguments)
        self.declare_parameter(
            'autostart',
            True,
            ParameterDescriptor(description='Configure and activate without being asked'),
        )
        self._error: BaseException | None = None
        self._own: set[Entity] = set()
        # What `run_node` does once the node has nothing more to do.
        self.end: Callable[[], None] = lambda: None

    def autostart(self) -> None:
        """Configure and activate, if the parameter says so; raise what kept it from that."""
        if not self.get_parameter('autostart').value:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != TransitionCallbackReturn.SUCCESS:
                raise self._error or UserError(f'{self.get_name()} did not start; see above')

    def configure(self) -> None:
        """Read the parameters and create what the node needs."""

    def activate(self) -> None:
        """Begin to work."""

    def deactivate(self) -> None:
        """Stop working, before this returns."""

    def stop(self) -> None:
        """End what works, whatever the state; may be called more than once.

        Topics and services stay: a callback may be using them in the executor's thread.
        """

    def destroy_node(self) -> None:
        # Before the topics go: a thread of the node may be using them.
        self.stop()
        super().destroy_node()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._own = set(self._entities())
        result = TransitionCallbackReturn.ERROR
        try:
            result = self._transition(self.configure)
        finally:
            # Or what it made until then would be the node's own from now on.
            if result != TransitionCallbackReturn.SUCCESS:
                self._clean_up()
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        return self._transition(self.stop)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        super().on_activate(state)
        return self._transition(self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = self._transition(self.deactivate)
        super().on_deactivate(state)
        return result

    def _clean_up(self) -> None:
        """Undo `configure`, so that the node can be configured again."""
        self.stop()
        destroy: dict[type, Callable[[Any], object]] = {
            Publisher: self.destroy_publisher,
            Subscription: self.destroy_subscription,
            Timer: self.destroy_timer,
            Service: self.destroy_service,
            Client: self.destroy_client,
            ActionClient: ActionClient.destroy,
        }
        for entity in [entity for entity in self._entities() if entity not in self._own]:
            kind = next(kind for kind in destroy if isinstance(entity, kind))
            destroy[kind](entity)

    def _entities(self) -> list[Entity]:
        return [
            *self.publishers,
            *self.subscriptions,
            *self.timers,
            *self.services,
            *self.clients,
            # The other waitables are events of topics and go with them.
            *(waitable for waitable in self.waitables if isinstance(waitable, ActionClient)),
        ]

    def _transition(self, work: Any) -> TransitionCallbackReturn:
        """Do the work of a transition; rclpy itself would swallow the reason of a failure."""
        self._error = None
        try:
            work()
        except UserError as error:
            self._error = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._error = error
            self.get_logger().fatal(traceback.format_exc())
            raise
        return TransitionCallbackReturn.SUCCESS
