"""Rollouts from the graph: the trainer's only view of the world, over topics."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rclpy.event_handler import PublisherEventCallbacks, QoSPublisherMatchedInfo
from rclpy.node import Node

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.decoded_messages import report_of
from smoothvla_ros.control.lock_step.episode_ledger import EpisodeLedger, LedgerSettings
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.peers import PeerWatch
from smoothvla_ros.nodes.topics.messages import from_rollout_step, to_request
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.robot_names import robot_names
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.policies.weights_folder import require_unchanged
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.training.rollouts.source import LostEpisode

# How often lateness is looked at; nothing waits for it.
_LOOK_S = 0.25


class TopicRolloutSource:
    """A `RolloutSource` whose robots and policy are other nodes.

    The executor's thread answers a result with the next request at once, so that no robot waits
    for the learner; `collect` runs in the caller's thread and only takes what is complete.
    """

    def __init__(self, node: Node, robots: int, settings: LedgerSettings) -> None:
        """Create the topics on `node`, which an executor in another thread must spin."""
        self._node = node
        self._robots = robot_names(robots)
        self._settings = settings
        self._changed = threading.Condition()
        self._ledger: EpisodeLedger | None = None
        self._lost: list[LostEpisode] = []
        self._bridge_matched = False
        self._first_attempt = 0
        self._closed = False
        self._error: BaseException | None = None
        quality = profiles(Graph.LOCK_STEP)
        self._peers = PeerWatch(
            {'libero_bridge': 'episode_result', 'policy': 'rollout_step'}, self._changed
        )
        self._updates = node.create_publisher(msg.PolicyUpdate, 'policy_update', quality.state)
        self._requests = node.create_publisher(
            msg.EpisodeRequest,
            'episode_request',
            quality.request,
            event_callbacks=PublisherEventCallbacks(matched=self._on_match),
        )
        node.create_subscription(
            msg.EpisodeResult,
            'episode_result',
            self._on_result,
            quality.result,
            event_callbacks=self._peers.callbacks('libero_bridge'),
        )
        node.create_subscription(
            msg.RolloutStep,
            'rollout_step',
            self._on_step,
            quality.rollout_step,
            event_callbacks=self._peers.callbacks('policy'),
        )

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Announce the weights that must answer from now on; the policy node loads and checks them.

        Raises UserError if the folder does not have that hash.
        """
        require_unchanged(folder, version, sha256)
        message = msg.PolicyUpdate(version=version, path=str(folder.resolve()), sha256=sha256)
        message.header.stamp = to_stamp(self._now_ns())
        self._updates.publish(message)

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield complete episodes as they come; see `RolloutSource.collect`.

        Raises UserError naming a node that died, or that is not there at all.
        """
        # Attempts never repeat, not even between two trainers, so that no answer is taken twice.
        self._first_attempt = max(
            int(time.time()), self._first_attempt + self._settings.request_attempts
        )
        self._lost = []
        ledger = EpisodeLedger(requests, self._robots, self._settings, self._first_attempt)
        try:
            with self._changed:
                self._ledger = ledger
            while not ledger.done:
                episode = self._next(ledger)
                if episode is not None:
                    yield episode
        finally:
            with self._changed:
                self._ledger = None
                self._note_lost(ledger)

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were given up."""
        return tuple(self._lost)

    def close(self) -> None:
        """End a `collect` that is under way; the topics go with the node."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException | None) -> None:
        """End a `collect` that is under way with an error of another thread."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def require_no_failure(self) -> None:
        """Raise the error of another thread, which no `collect` was there to raise."""
        with self._changed:
            if self._error is not None:
                raise self._error

    def _next(self, ledger: EpisodeLedger) -> Episode | None:
        """Wait a little for an episode, and ask, repeat and give up what is due."""
        with self._changed:
            self.require_no_failure()
            if self._closed:
                raise UserError('the rollouts were closed while episodes were under way')
            now = time.monotonic()
            self._peers.require(now)
            self._send_due(ledger, now)
            episode = ledger.take()
            if episode is None and not ledger.done:
                self._changed.wait(_LOOK_S)
                episode = ledger.take()
            return episode

    def _send_due(self, ledger: EpisodeLedger, now: float) -> None:
        if self._bridge_matched and self._peers.all_alive():
            for assignment in ledger.assignments(now):
                self._requests.publish(
                    to_request(
                        assignment.request,
                        assignment.robot,
                        self._settings.episode_deadline_s,
                        self._now_ns(),
                    )
                )
        self._note_lost(ledger)

    def _note_lost(self, ledger: EpisodeLedger) -> None:
        for request, reason in ledger.lost[len(self._lost) :]:
            self._node.get_logger().warning(f'episode {request.episode_id} is lost: {reason}')
            self._lost.append(LostEpisode(request, reason))

    def _on_result(self, message: msg.EpisodeResult) -> None:
        report = report_of(message)
        with self._changed:
            if self._ledger is None:
                return
            if report.failure:
                self._node.get_logger().warning(
                    f'{report.robot}, episode {report.episode_id}: {report.failure}'
                )
            now = time.monotonic()
            self._ledger.report(report, now)
            self._send_due(self._ledger, now)
            self._changed.notify_all()

    def _on_step(self, message: msg.RolloutStep) -> None:
        if not self._settings.record_rollouts:
            return
        decision = from_rollout_step(message)
        with self._changed:
            if self._ledger is not None:
                self._ledger.decide(decision)
                self._changed.notify_all()

    def _on_match(self, info: QoSPublisherMatchedInfo) -> None:
        with self._changed:
            self._bridge_matched = info.current_count > 0
            self._changed.notify_all()

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
