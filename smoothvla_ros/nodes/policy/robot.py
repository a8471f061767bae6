"""One robot's topics on the policy's side, in whichever graph."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState

from smoothvla_ros import msg
from smoothvla_ros.control.finger_positions import as_trained
from smoothvla_ros.control.lock_step.observation_slot import (
    GRIPPER,
    JOINTS,
    PendingObservation,
    Slot,
)
from smoothvla_ros.control.lock_step.protocol import Answer, Question
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import WARNING, Diagnostics
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.topics.image_conversion import to_image_array
from smoothvla_ros.nodes.topics.messages import joint_values, to_action_chunk
from smoothvla_ros.nodes.topics.quality_of_service import Profiles
from smoothvla_ros.records import Observation


@dataclass(frozen=True)
class Shared:
    """What all robots of a policy node have in common.

    joints: of the arm, in the order in which a policy gets them.  base_frame: what actions are
    expressed in.  changed: guards the slots, and is notified of everything that arrives.
    """

    node: Node
    config: PolicyConfig
    joints: tuple[str, ...]
    base_frame: str
    quality: Profiles
    changed: threading.Condition
    diagnostics: Diagnostics


class PolicyRobot:
    """Fills a slot from the topics of one robot and sends it its chunks."""

    def __init__(self, shared: Shared, name: str, slot: Slot) -> None:
        """name: of the robot, the namespace of its topics."""
        self.slot = slot
        self._name = name
        self._node, self._config = shared.node, shared.config
        self._joints, self._base_frame = shared.joints, shared.base_frame
        self._changed, self._diagnostics = shared.changed, shared.diagnostics
        self._epoch = 0
        self._seq = 0
        self._chunks = self._node.create_publisher(
            msg.ActionChunk, f'{name}/action_chunk', shared.quality.command
        )
        for camera in self._config.cameras:
            topic = f'{name}/camera/{camera}/image_raw'
            self._subscribe(Image, topic, camera, shared.quality.image)

    def expect_chunks(self, chunk_period_ns: int, version: int) -> None:
        """Take what the loaded policy answers with; the caller holds the lock."""
        self.slot.expect_chunks(chunk_period_ns)

    def report(self) -> None:
        """Say on /diagnostics what an observation lacks, where nobody else would."""

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
            self._add(part, message)
            self._changed.notify_all()

    def _add(self, part: str, message: Image | JointState) -> None:
        try:
            self.slot.add(part, to_nanoseconds(message.header.stamp), message)
        except UserError as error:
            self._diagnostics.report(f'{self._name}/{part}', WARNING, str(error))
