"""The operator on topics: plays the twin's scenes, from arming the guard to the verdict of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from rclpy.client import Client
from rclpy.task import Future
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.motion_guard.phases import Phase
from smoothvla_ros.control.scene_operator import Guard, Scene, SceneOperator, Wish
from smoothvla_ros.nodes.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.lifecycle import AutostartNode
from smoothvla_ros.nodes.parameters import declare
from smoothvla_ros.nodes.quality_of_service import SHARED_DEPTH, profiles, with_depth
from smoothvla_ros.nodes.running import run_node
from smoothvla_ros.nodes.stamps import to_nanoseconds
from smoothvla_ros.srv import LabelEpisode

LOOK_PERIOD_S = 0.1
# Of the arm's own time: what was measured before the scene began must be gone from every queue.
SETTLE_NS = 200_000_000


@dataclass(frozen=True)
class TwinOperatorConfig:
    """What is played."""

    robot: str = setting('robot_0', "Namespace of the twin's robot")
    scenes: int = setting(1, 'Scenes that are played one after another', minimum=1, maximum=100_000)

    def __post_init__(self) -> None:
        validate(self, 'operator')


class TwinOperator(AutostartNode):
    """Looks at guard and twin ten times a second and asks for one thing at a time."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('operator', **arguments)
        self._episode: msg.EpisodeState | None = None
        self._guard: msg.GuardState | None = None
        self._measured_ns = 0
        self._asked: Future | None = None
        self._unlabelled: msg.EpisodeLabel | None = None
        self._asks: dict[Wish, Client] = {}
        self._labels: Client | None = None

    @property
    def operator(self) -> SceneOperator:
        """What was played and how it ended."""
        return self._operator

    def configure(self) -> None:
        config = declare(self, TwinOperatorConfig)
        self._robot, self._scenes = config.robot, config.scenes
        self._operator = SceneOperator(config.scenes)
        self._told = 0
        self._diagnostics = Diagnostics(self)
        quality = profiles('real_arm')
        self.create_subscription(
            msg.EpisodeState, f'{config.robot}/episode_state', self._on_episode, quality.state
        )
        self.create_subscription(
            msg.GuardState, f'{config.robot}/motion_guard/state', self._on_guard, quality.status
        )
        self.create_subscription(
            msg.EpisodeLabel,
            f'{config.robot}/episode_label',
            self._on_label,
            with_depth(quality.state, SHARED_DEPTH),
        )
        newest = with_depth(quality.joint_states, 1)
        self._joints = DrainedSubscription(self, JointState, f'{config.robot}/joint_states', newest)
        self._asks = {wish: self.create_client(Trigger, f'{config.robot}/{wish}') for wish in Wish}
        self._labels = self.create_client(LabelEpisode, f'{config.robot}/episodes/label')
        self._looks = self.create_timer(LOOK_PERIOD_S, self._look, autostart=False)

    def activate(self) -> None:
        self._looks.reset()

    def deactivate(self) -> None:
        self._looks.cancel()

    def stop(self) -> None:
        for client in (*self._asks.values(), self._labels):
            if client is not None:
                self.destroy_client(client)
        self._asks, self._labels = {}, None

    def _on_episode(self, message: msg.EpisodeState) -> None:
        self._episode = message

    def _on_guard(self, message: msg.GuardState) -> None:
        self._guard = message

    def _on_label(self, message: msg.EpisodeLabel) -> None:
        self._unlabelled = None if message.outcome else message
        if self._episode is not None:
            self._label(self._episode.attempt)

    def _look(self) -> None:
        for joints in self._joints.take_all():
            self._measured_ns = to_nanoseconds(joints.header.stamp)
        if self._episode is None or self._guard is None or self._asked is not None:
            return
        scene = self._scene(self._episode)
        guard = Guard(Phase(self._guard.phase), self._guard.reason)
        wish = self._operator.wish(scene, guard)
        self._tell()
        self._label(scene.number)
        # An episode that a person ended is theirs to label.
        self._unlabelled = None
        if wish is not None and self._asks[wish].service_is_ready():
            self._asked = self._asks[wish].call_async(Trigger.Request())
            self._asked.add_done_callback(lambda answer: self._on_answer(wish, scene, answer))

    def _label(self, number: int) -> None:
        """Say of an episode that is recorded what a person would say of it."""
        verdict = self._operator.verdicts.get(number)
        if self._unlabelled is not None and verdict is not None and self._labels is not None:
            episode, self._unlabelled = self._unlabelled, None
            request = LabelEpisode.Request(outcome=verdict.label, episode_id=episode.episode_id)
            self._labels.call_async(request)

    def _scene(self, episode: msg.EpisodeState) -> Scene:
        return Scene(
            number=episode.attempt,
            stands=self._measured_ns - to_nanoseconds(episode.first_stamp) > SETTLE_NS,
            finished=episode.phase == msg.EpisodeState.PHASE_FINISHED,
            success=episode.success,
        )

    def _on_answer(self, wish: Wish, scene: Scene, answer: Future) -> None:
        self._asked = None
        response = answer.result()
        if response.success:
            self._operator.granted(wish, scene)
        else:
            reason = f'{wish} is refused: {response.message}'
            self._diagnostics.report(self._robot, WARNING, reason)

    def _tell(self) -> None:
        verdicts = list(self._operator.verdicts.values())
        if len(verdicts) == self._told:
            return
        self._told = len(verdicts)
        solved = sum(verdict.success for verdict in verdicts)
        text = f'{solved} of {len(verdicts)} scenes solved'
        if self._operator.done:
            text += '; all are played, the arm rests'
        self.get_logger().info(text)
        self._diagnostics.report(self._robot, OK, text, {'scenes': self._scenes})


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(TwinOperator)


if __name__ == '__main__':
    sys.exit(main())
