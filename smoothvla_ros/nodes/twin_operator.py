"""The operator on topics: plays the twin's scenes, from arming the guard to the verdict of each."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.timer import Timer
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.live.scene_operator import (
    Guard,
    OperatorRequest,
    SceneOperator,
    SceneProgress,
    SceneVerdict,
    policy_lives,
)
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.base.service_calls import Answer, ServiceCalls
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.quality_of_service import SHARED_DEPTH, Graph, profiles, with_depth
from smoothvla_ros.robot_name import ROBOT, require_robot_name
from smoothvla_ros.srv import LabelEpisode

LOOK_PERIOD_S = 0.1
LABEL = 'label'
# The next scene, or the end, waits so long for a label: a recorder that is gone stops no play.
LABEL_PATIENCE_S = 10.0


@dataclass(frozen=True)
class TwinOperatorConfig:
    """What is played."""

    robot_name: str = setting(ROBOT, "Namespace of the twin's robot")
    scenes: int = setting(1, 'Scenes that are played one after another', minimum=1, maximum=10_000)
    stay: bool = setting(
        False,
        'Whether everything goes on after the last scene, the arm at rest (deploy.launch.py: true '
        'with a viewer)',
    )

    def __post_init__(self) -> None:
        validate(self, 'operator')
        require_robot_name(self.robot_name, 'operator')


class TwinOperator(AutostartNode):
    """Looks at guard and twin ten times a second and asks for one thing at a time."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('operator', **arguments)
        self._calls: ServiceCalls | None = None
        self._labels: ServiceCalls | None = None
        self._looks: Timer | None = None

    @property
    def verdicts(self) -> list[SceneVerdict]:
        """How the scenes ended, in their order."""
        return list(self._operator.verdicts.values())

    @property
    def at_rest(self) -> bool:
        """Whether the guard says that it commands nothing."""
        guard = self._guard
        return guard is not None and GuardPhase(guard.phase) in (
            GuardPhase.DISARMED,
            GuardPhase.FAULTED,
        )

    def configure(self) -> None:
        config = declare(self, TwinOperatorConfig)
        self._robot, self._scenes, self._stays = config.robot_name, config.scenes, config.stay
        self._operator = SceneOperator(config.scenes)
        self._episode: msg.EpisodeState | None = None
        self._guard: msg.GuardState | None = None
        self._unlabelled: msg.EpisodeLabel | None = None
        # Of the episode whose label was sent and is not granted.
        self._labelling = self._label_trouble = ''
        self._label_until_s = -math.inf
        self._labelled_ns = self._measured_ns = self._told = 0
        self._heartbeat_s = -math.inf
        self._retired_s = math.inf
        self._diagnostics = Diagnostics(self)
        quality = profiles(Graph.REAL_ARM)
        for kind, topic, heard, profile in (
            (msg.EpisodeState, 'episode_state', self._on_episode, quality.state),
            (msg.GuardState, 'motion_guard/state', self._on_guard, quality.status),
            (Header, 'heartbeat', self._on_heartbeat, quality.command),
            (
                msg.EpisodeLabel,
                'episode_label',
                self._on_label,
                with_depth(quality.state, SHARED_DEPTH),
            ),
        ):
            self.create_subscription(kind, f'{self._robot}/{topic}', heard, profile)
        newest = with_depth(quality.joint_states, 1)
        self._joints = DrainedSubscription(self, JointState, f'{self._robot}/joint_states', newest)
        self._calls = ServiceCalls(
            self, Trigger, {wish: f'{self._robot}/{wish}' for wish in OperatorRequest}
        )
        self._labels = ServiceCalls(self, LabelEpisode, {LABEL: f'{self._robot}/episodes/label'})
        # A system clock that is set back would stop a timer of its own kind.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._looks = self.create_timer(LOOK_PERIOD_S, self._look, clock=steady, autostart=False)

    def activate(self) -> None:
        if self._looks is not None:
            self._looks.reset()

    def deactivate(self) -> None:
        if self._looks is not None:
            self._looks.cancel()

    def stop(self) -> None:
        if self._looks is not None:
            self._looks.cancel()
        self._calls = self._labels = self._looks = None

    def _on_episode(self, message: msg.EpisodeState) -> None:
        self._episode = message

    def _on_guard(self, message: msg.GuardState) -> None:
        self._guard = message

    def _on_heartbeat(self, message: Header) -> None:
        self._heartbeat_s = time.monotonic()

    def _on_label(self, message: msg.EpisodeLabel) -> None:
        # What is played after the episode that a label was sent for is not what was judged.
        if not self._labelling:
            self._unlabelled = None if message.outcome else message

    def _look(self) -> None:
        for joints in self._joints.take_all():
            self._measured_ns = to_nanoseconds(joints.header.stamp)
        # `stop` may run meanwhile, in the process's own thread.
        calls, labels = self._calls, self._labels
        if self._episode is None or self._guard is None or calls is None or labels is None:
            return
        now_s = time.monotonic()
        scene = self._scene(self._episode)
        guard = Guard(GuardPhase(self._guard.phase), self._guard.reason)
        lives = policy_lives(self._heartbeat_s, now_s)
        wish = self._operator.wish(scene, guard, policy_lives=lives)
        self._tell()
        self._label(labels, scene, guard, now_s)
        if wish is OperatorRequest.NEXT_SCENE and self._labelling and now_s < self._label_until_s:
            return
        if wish is not None and not calls.is_pending(now_s) and self._is_alone():
            calls.send(wish, now_s, lambda answer: self._on_answer(wish, scene, answer))
        if self._operator.retired and not self._stays:
            self._end_once_labelled(scene, now_s)

    def _scene(self, episode: msg.EpisodeState) -> SceneProgress:
        return SceneProgress.measured(
            to_nanoseconds(episode.first_stamp),
            self._measured_ns,
            finished=episode.phase == msg.EpisodeState.PHASE_FINISHED,
            success=episode.success,
        )

    def _is_alone(self) -> bool:
        """Whether there is one arm of this name: what is asked for here, every guard of it does."""
        for topic in ('joint_states', 'motion_guard/state'):
            found = self.get_publishers_info_by_topic(f'{self._robot}/{topic}')
            if len(found) > 1:
                names = ', '.join(sorted(f'{who.node_namespace}/{who.node_name}' for who in found))
                text = (
                    f'{len(found)} publishers of {topic} ({names}): another arm of this name is in '
                    'the network, nothing is asked for; end it, or give this launch a namespace'
                )
                self._diagnostics.report(self._robot, ERROR, text)
                return False
        return True

    def _on_answer(self, wish: OperatorRequest, scene: SceneProgress, response: Answer) -> None:
        if not response.success:
            self._diagnostics.report(self._robot, WARNING, f'{wish} is refused: {response.message}')
            return
        self._operator.granted(wish, scene)
        # What it said before the answer may still say the opposite.
        self._guard = None
        self._diagnostics.report(self._robot, OK, f'{wish} is granted')

    def _label(
        self, labels: ServiceCalls, scene: SceneProgress, guard: Guard, now_s: float
    ) -> None:
        """Say of the episode that was recorded in a scene what a person would say of it."""
        episode, verdict = self._unlabelled, self._operator.judge(scene, guard)
        if episode is None or self._labelled_ns == scene.began_ns:
            return
        if to_nanoseconds(episode.first_stamp) < scene.began_ns:
            # Of another scene; or a person ended it, and it is theirs.
            self._unlabelled = None
            self._give_up_label()
        elif verdict is None:
            if guard.phase is GuardPhase.DISARMED:
                self._unlabelled = None
        elif not labels.is_pending(now_s):
            if not self._labelling:
                self._label_trouble, self._label_until_s = '', now_s + LABEL_PATIENCE_S
            self._labelling = episode.episode_id
            labels.send(
                LABEL,
                now_s,
                lambda answer: self._on_labelled(episode.episode_id, scene, answer),
                outcome=verdict.label,
                episode_id=episode.episode_id,
            )

    def _on_labelled(self, episode_id: str, scene: SceneProgress, response: Answer) -> None:
        if episode_id != self._labelling:
            return
        if not response.success:
            self._label_trouble = response.message
            self._report_label(f'the label of {episode_id} is refused: {response.message}')
            return
        self._labelled_ns, self._labelling, self._unlabelled = scene.began_ns, '', None
        self._report_label(f'{episode_id} is labelled', OK)

    def _give_up_label(self) -> None:
        if self._labelling:
            why = self._label_trouble or 'no answer in time'
            self._report_label(f'{self._labelling} has no label: {why}')
            self._labelling = ''

    def _end_once_labelled(self, scene: SceneProgress, now_s: float) -> None:
        """End with the last scene; where episodes are recorded, once it has its label."""
        self._retired_s = min(self._retired_s, now_s)
        recorded = bool(self.get_publishers_info_by_topic(f'{self._robot}/episode_label'))
        labelled = self._labelled_ns == scene.began_ns
        if recorded and not labelled and now_s < self._retired_s + LABEL_PATIENCE_S:
            return
        self._give_up_label()
        self.end()

    def _report_label(self, text: str, level: bytes = WARNING) -> None:
        self._diagnostics.report(f'{self._robot} label', level, text)

    def _tell(self) -> None:
        count = len(self.verdicts)
        if count == self._told:
            return
        self._told, text = count, self._operator.standing
        self.get_logger().info(text)
        self._diagnostics.report(self._robot, OK, text, {'scenes': self._scenes})


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(TwinOperator)


if __name__ == '__main__':
    sys.exit(main())
