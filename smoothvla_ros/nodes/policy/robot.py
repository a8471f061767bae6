"""One robot's topics on the policy's side."""

from __future__ import annotations

import functools
import threading

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from smoothvla_ros import msg
from smoothvla_ros.control.finger_positions import as_trained
from smoothvla_ros.control.live.live_observation_slot import (
    LiveObservationSlot,
    LiveSettings,
    Trigger,
)
from smoothvla_ros.control.lock_step.observation_slot import (
    GRIPPER,
    JOINTS,
    ObservationSlot,
    PendingObservation,
    Slot,
)
from smoothvla_ros.control.lock_step.protocol import Answer, Question
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds, to_seconds, whole_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.topics.image_conversion import to_image_array
from smoothvla_ros.nodes.topics.messages import from_episode_state, joint_values, to_action_chunk
from smoothvla_ros.nodes.topics.named_joint_states import NamedJointStates
from smoothvla_ros.nodes.topics.quality_of_service import Graph, Profiles, with_depth
from smoothvla_ros.records import Observation


class PolicyRobot:
    """Fills a slot from the topics of one robot and sends it its chunks.

    changed: guards the slot, and is notified of everything that arrives.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: PolicyConfig,
        joints: tuple[str, ...],
        base_frame: str,
        quality: Profiles,
        changed: threading.Condition,
        diagnostics: Diagnostics,
    ) -> None:
        """joints: of the arm, in the order in which a policy gets them.

        base_frame: what actions are expressed in.
        """
        self._live: LiveObservationSlot | None = None
        self._joints = joints
        self._base_frame = base_frame
        self._node = node
        self._name = name
        self._diagnostics = diagnostics
        self._config = config
        self._changed = changed
        self._epoch = 0
        self._seq = 0
        self._chunks = node.create_publisher(
            msg.ActionChunk, f'{name}/action_chunk', quality.command
        )
        for camera in config.cameras:
            topic = f'{name}/camera/{camera}/image_raw'
            self._subscribe(Image, topic, camera, quality.image)
        if Graph(config.graph) is Graph.REAL_ARM:
            topics = {JOINTS: ('joint_states', joints)}
            if config.gripper_states:
                topics[GRIPPER] = config.gripper_states, config.gripper_joints
            # A 1 kHz arm must not wake the executor: its samples wait for the next image.
            self._states = {
                part: NamedJointStates(
                    node, f'{name}/{topic}', quality.joint_states, part_joints, topic
                )
                for part, (topic, part_joints) in topics.items()
            }
            live = self._live_slot(config)
            self.slot: Slot = live
            self._live = live
            told = functools.partial(self._on_task, live)
            node.create_subscription(String, f'{name}/task', told, quality.state)
            return
        self.slot = slot = ObservationSlot(config.cameras)
        # Of a burst only the last sample asks: the others need not wake the executor.
        newest = with_depth(quality.joint_states, 1)
        self._subscribe(JointState, f'{name}/joint_states', JOINTS, newest)
        node.create_subscription(
            msg.EpisodeState,
            f'{name}/episode_state',
            functools.partial(self._on_episode, slot),
            quality.state,
        )

    def expect_chunks(self, chunk_period_ns: int, version: int) -> None:
        """Take what the loaded policy answers with; the caller holds the lock."""
        self.slot.expect_chunks(chunk_period_ns)
        if self._live is not None:
            self._live.policy_version = version

    def report(self) -> None:
        """Say on /diagnostics what a real arm's observation lacks."""
        if self._live is None:
            return
        with self._changed:
            others = [why for queue in self._states.values() if (why := queue.unknown_joints())]
            reason = '; '.join(others) or self._live.waiting_for()
            lead = self._live.lead
            measured = {
                'lead_s': to_seconds(lead.lead_ns),
                'image_to_chunk_s': to_seconds(lead.delay_ns),
                'image_interval_s': to_seconds(lead.interval_ns),
            }
        self._diagnostics.report(
            f'{self._name}/observation',
            WARNING if reason else OK,
            reason or 'complete and fresh',
            {name: f'{seconds:.3f}' for name, seconds in measured.items()},
        )

    def begin_epoch(self, epoch: int) -> None:
        """Number the answers anew; what an earlier epoch answered is not repeated."""
        with self._changed:
            self._epoch, self._seq = epoch, 0
            self.slot.forget_answer()

    def observation(self, pending: PendingObservation) -> Observation:
        """Return the observation of a question.

        Raises UserError where a number is not finite, a joint is missing or an image is unusable.
        """
        joints = pending.parts[JOINTS]
        positions, velocities, gripper = joint_values(
            joints,
            self._joints,
            self._config.gripper_joints,
            pending.parts.get(GRIPPER),
        )
        return Observation(
            images={
                camera: to_image_array(pending.parts[camera]) for camera in self._config.cameras
            },
            joint_positions=positions,
            joint_velocities=velocities,
            # joint_states has the joints of the robot description; the policy, its training's.
            gripper_positions=as_trained(
                gripper, self._config.gripper_scale, self._config.gripper_offset
            ),
            instruction=pending.state.instruction,
        )

    def answer(
        self, question: Question, actions: np.ndarray, tokens: np.ndarray, log_probs: np.ndarray
    ) -> Answer:
        """Return the next answer of this epoch."""
        self._seq += 1
        return Answer(question, self._epoch, self._seq, actions, tokens, log_probs)

    def send(self, answer: Answer, action_space: str) -> None:
        """Publish a chunk or a refusal."""
        now = self._node.get_clock().now().nanoseconds
        period = self._config.control_period_s
        self._chunks.publish(to_action_chunk(answer, now, period, action_space, self._base_frame))

    def refuse(self, question: Question, reason: str) -> None:
        """Publish that the question is not answered, and why."""
        self._seq += 1
        nothing = np.empty((0, 0))
        self.send(Answer(question, self._epoch, self._seq, nothing, nothing, nothing, reason), '')

    def _subscribe(self, message_type: type, topic: str, part: str, quality: QoSProfile) -> None:
        self._node.create_subscription(
            message_type, topic, functools.partial(self._on_part, part), quality
        )

    def _on_part(self, part: str, message: Image | JointState) -> None:
        with self._changed:
            if self._live is not None:
                for state, queue in self._states.items():
                    for sample in queue.take_all():
                        self._add(state, sample)
            self._add(part, message)
            self._changed.notify_all()

    def _add(self, part: str, message: Image | JointState) -> None:
        try:
            self.slot.add(part, to_nanoseconds(message.header.stamp), message)
        except UserError as error:
            self._diagnostics.report(f'{self._name}/{part}', WARNING, str(error))

    def _on_task(self, live: LiveObservationSlot, message: String) -> None:
        with self._changed:
            try:
                live.instruct(message.data)
            except UserError as error:
                self._diagnostics.report(f'{self._name}/task', WARNING, str(error))
            self._changed.notify_all()

    def _live_slot(self, config: PolicyConfig) -> LiveObservationSlot:
        settings = LiveSettings(
            trigger=Trigger(config.trigger),
            max_skew_ns=whole_nanoseconds(config.max_skew_s),
            max_gripper_skew_ns=whole_nanoseconds(config.max_gripper_skew_s),
            max_age_ns=whole_nanoseconds(config.max_age_s),
            lead_ns=whole_nanoseconds(config.lead_s),
            max_lead_ns=whole_nanoseconds(config.max_lead_s),
            temperature=config.temperature,
            seed=config.seed,
        )
        clock = self._node.get_clock()
        slot = LiveObservationSlot(
            self._name,
            config.cameras,
            settings,
            lambda: clock.now().nanoseconds,
            states=tuple(self._states),
        )
        if config.instruction:
            slot.instruct(config.instruction)
        return slot

    def _on_episode(self, slot: ObservationSlot, message: msg.EpisodeState) -> None:
        with self._changed:
            slot.announce(from_episode_state(message))
            self._changed.notify_all()
