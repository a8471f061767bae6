"""One robot's topics on the policy's side."""

from __future__ import annotations

import functools
import threading
from typing import Protocol

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step import Answer, Question
from smoothvla_ros.control.observation_slot import JOINTS, ObservationSlot, PendingObservation
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.image_conversion import to_image_array
from smoothvla_ros.nodes.messages import from_episode_state, joint_values, to_action_chunk
from smoothvla_ros.nodes.quality_of_service import Profiles, with_depth
from smoothvla_ros.nodes.robot_names import PANDA_BASE_FRAME
from smoothvla_ros.nodes.stamps import to_nanoseconds
from smoothvla_ros.records import Observation


class RobotConfig(Protocol):
    """What of the node's configuration concerns one robot."""

    @property
    def cameras(self) -> tuple[str, ...]: ...
    @property
    def arm_joints(self) -> tuple[str, ...]: ...
    @property
    def gripper_joints(self) -> tuple[str, ...]: ...
    @property
    def control_period_s(self) -> float: ...


class PolicyRobot:
    """Fills a slot from the topics of one robot and sends it its chunks.

    changed: guards the slot, and is notified of everything that arrives.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: RobotConfig,
        quality: Profiles,
        changed: threading.Condition,
    ) -> None:
        self.slot = ObservationSlot(config.cameras)
        self._node = node
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
        # Of a burst only the last sample asks: the others need not wake the executor.
        newest = with_depth(quality.joint_states, 1)
        self._subscribe(JointState, f'{name}/joint_states', JOINTS, newest)
        node.create_subscription(
            msg.EpisodeState, f'{name}/episode_state', self._on_episode, quality.state
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
            joints, self._config.arm_joints, self._config.gripper_joints
        )
        for name, values in (
            ('position of an arm joint', positions),
            ('velocity of an arm joint', velocities),
            ('position of the gripper', gripper),
        ):
            if not np.isfinite(values).all():
                raise UserError(f'joint_states: a {name} is not finite ({values.tolist()})')
        return Observation(
            images={
                camera: to_image_array(pending.parts[camera]) for camera in self._config.cameras
            },
            joint_positions=positions,
            joint_velocities=velocities,
            gripper_positions=gripper,
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
        self._chunks.publish(to_action_chunk(answer, now, period, action_space, PANDA_BASE_FRAME))

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
            self.slot.add(part, to_nanoseconds(message.header.stamp), message)
            self._changed.notify_all()

    def _on_episode(self, message: msg.EpisodeState) -> None:
        with self._changed:
            self.slot.announce(from_episode_state(message))
            self._changed.notify_all()
