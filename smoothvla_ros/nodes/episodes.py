"""Episodes of a real arm, found by its guard, and the service that says what became of them."""

from __future__ import annotations

import sys
from typing import Any

from smoothvla_ros import msg
from smoothvla_ros.control.live.episode_keeper import ArmEpisode, EpisodeKeeper
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import refuse_unknown
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.topics.quality_of_service import SHARED_DEPTH, Graph, profiles, with_depth
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.srv import LabelEpisode


class Episodes(AutostartNode):
    """Publishes `episode_label` when an episode ends, and again when ~/label was called."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('episodes', **arguments)

    def configure(self) -> None:
        refuse_unknown(self)
        self._name = self.get_namespace().rpartition('/')[2] or 'robot'
        self._keeper: EpisodeKeeper | None = None
        quality = profiles(Graph.REAL_ARM)
        latched = with_depth(quality.state, SHARED_DEPTH)
        self._labels = self.create_publisher(msg.EpisodeLabel, 'episode_label', latched)
        self.create_subscription(
            msg.GuardState, 'motion_guard/state', self._on_guard, quality.status
        )
        self.create_service(LabelEpisode, '~/label', self._on_label)

    def activate(self) -> None:
        self._keeper = EpisodeKeeper(self._name)

    def deactivate(self) -> None:
        self._keeper = None

    def _on_guard(self, message: msg.GuardState) -> None:
        if self._keeper is None:
            return
        ended = self._keeper.guard_is(
            GuardPhase(message.phase), to_nanoseconds(message.header.stamp)
        )
        if ended is not None:
            self._publish(ended)
            text = f'{ended.episode_id} ended; label it success, failure or discard'
            self.get_logger().info(text)

    def _on_label(
        self, request: LabelEpisode.Request, response: LabelEpisode.Response
    ) -> LabelEpisode.Response:
        if self._keeper is None:
            response.success, response.message = False, 'the node is not active'
            return response
        try:
            episode = self._keeper.label(request.outcome, request.episode_id)
        except UserError as error:
            response.success, response.message = False, str(error)
            return response
        self._publish(episode)
        response.success, response.message = True, f'{episode.episode_id}: {episode.outcome}'
        return response

    def _publish(self, episode: ArmEpisode) -> None:
        message = msg.EpisodeLabel(
            robot=self._name,
            episode_id=episode.episode_id,
            first_stamp=to_stamp(episode.first_ns),
            last_stamp=to_stamp(episode.last_ns),
            outcome=episode.outcome,
        )
        message.header.stamp = self.get_clock().now().to_msg()
        self._labels.publish(message)


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(Episodes)


if __name__ == '__main__':
    sys.exit(main())
