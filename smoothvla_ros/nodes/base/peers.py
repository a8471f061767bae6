"""Notices when a node that this one depends on is gone, and says which."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import rclpy
from rclpy.event_handler import QoSLivelinessChangedInfo, SubscriptionEventCallbacks

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.topics.quality_of_service import LEASE_S

# A restarted node is back within this time; together with the lease well within ten seconds.
GRACE_S = 4.0
# Middlewares whose liveliness events never come.
WITHOUT_LIVELINESS = ('rmw_zenoh_cpp',)
# Importing torch on a busy machine takes its time.
START_TIMEOUT_S = 300.0


@dataclass
class _Peer:
    alive: bool = False
    since: float = 0.0
    seen: bool = False
    killed: bool = False


class PeerWatch:
    """Liveliness of named nodes, from the leases of topics that only they publish.

    A killed process does not say goodbye: its lease runs out, and nothing else shows its death.
    """

    def __init__(self, names: Mapping[str, str], changed: threading.Condition) -> None:
        """names: node name -> topic that it publishes.  changed: notified of every change.

        Raises UserError under a middleware that tells nothing of leases.
        """
        middleware = rclpy.get_rmw_implementation_identifier()
        if middleware in WITHOUT_LIVELINESS:
            raise UserError(
                f'RMW_IMPLEMENTATION={middleware} does not tell when a node is alive; set '
                'rmw_fastrtps_cpp or rmw_cyclonedds_cpp for every node'
            )
        self._changed = changed
        self._topics = dict(names)
        self._peers = {name: _Peer(since=time.monotonic()) for name in names}

    def callbacks(self, name: str) -> SubscriptionEventCallbacks:
        """Return the event callbacks for the subscription to that node's topic."""
        return SubscriptionEventCallbacks(liveliness=lambda info: self._on_liveliness(name, info))

    def all_alive(self) -> bool:
        """Whether every node is there now."""
        return all(peer.alive for peer in self._peers.values())

    def require(self, now: float) -> None:
        """Raise UserError naming a node that died or never came; `now` on time.monotonic."""
        for name, peer in self._peers.items():
            if peer.alive:
                continue
            if not peer.seen and now - peer.since > START_TIMEOUT_S:
                raise UserError(
                    f'no node {name} on {self._topics[name]} within {START_TIMEOUT_S:g} s; start '
                    'it in the same ROS domain and namespace'
                )
            if peer.seen and now - peer.since > GRACE_S:
                how = f'died: its lease of {LEASE_S:g} s ran out' if peer.killed else 'left'
                raise UserError(
                    f'node {name} {how} and it did not come back within {GRACE_S:g} s; start the '
                    'graph again, the run goes on where it stopped'
                )

    def _on_liveliness(self, name: str, info: QoSLivelinessChangedInfo) -> None:
        with self._changed:
            peer = self._peers[name]
            alive = info.alive_count > 0
            if alive != peer.alive:
                peer.since = time.monotonic()
            peer.seen = peer.seen or alive
            peer.alive = alive
            peer.killed = info.not_alive_count > 0
            self._changed.notify_all()
