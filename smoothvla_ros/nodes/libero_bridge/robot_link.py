"""One simulated robot's topics: what `control.lock_step.robot_episode` sends and waits for."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Sequence

import numpy as np
from rclpy.event_handler import (
    PublisherEventCallbacks,
    QoSPublisherMatchedInfo,
    SubscriptionEventCallbacks,
)
from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import Answer, EpisodeState
from smoothvla_ros.libero import ACTION_SPACE, FINGER_SIGNS
from smoothvla_ros.nodes.topics.image_conversion import to_image_message
from smoothvla_ros.nodes.topics.messages import from_action_chunk, to_episode_state, to_joint_state
from smoothvla_ros.nodes.topics.quality_of_service import Profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.records import Observation


class TopicRobotLink:
    """Publishes one robot and queues the chunks that come for it.

    Made and called back in the executor's thread; every other method belongs to the robot's own.
    """

    def __init__(
        self,
        node: Node,
        robot: str,
        cameras: Sequence[str],
        joint_names: Sequence[str],
        profiles: Profiles,
    ) -> None:
        self._node = node
        self._robot = robot
        self._joint_names = tuple(joint_names)
        self._changed = threading.Condition()
        self._answers: deque[Answer] = deque()
        self._interruption = ''
        self._unmatched = {*cameras, 'joint_states', 'episode_state', 'action_chunk'}

        def matched(name: str) -> PublisherEventCallbacks:
            return PublisherEventCallbacks(matched=lambda info: self._on_match(name, info))

        self._images = {
            camera: node.create_publisher(
                Image,
                f'{robot}/camera/{camera}/image_raw',
                profiles.image,
                event_callbacks=matched(camera),
            )
            for camera in cameras
        }
        self._joint_states = node.create_publisher(
            JointState,
            f'{robot}/joint_states',
            profiles.joint_states,
            event_callbacks=matched('joint_states'),
        )
        self._episode_state = node.create_publisher(
            msg.EpisodeState,
            f'{robot}/episode_state',
            profiles.state,
            event_callbacks=matched('episode_state'),
        )
        self._task = node.create_publisher(String, f'{robot}/task', profiles.state)
        self._chunks = node.create_subscription(
            msg.ActionChunk,
            f'{robot}/action_chunk',
            self._on_chunk,
            profiles.command,
            event_callbacks=SubscriptionEventCallbacks(
                matched=lambda info: self._on_match('action_chunk', info)
            ),
        )

    def announce(self, state: EpisodeState) -> None:
        """Publish the episode state, and its instruction as the robot's task."""
        if state.instruction:
            self._task.publish(String(data=state.instruction))
        now = self._node.get_clock().now().nanoseconds
        self._episode_state.publish(to_episode_state(state, now))

    def send_joints(
        self,
        stamps_ns: list[int],
        positions: np.ndarray,
        velocities: np.ndarray,
        gripper: np.ndarray,
    ) -> None:
        """Publish one joint state a stamp, in one burst; the fingers as the description has them.

        gripper: [samples, 2] m, as LIBERO counts them.
        """
        fingers = gripper * np.array(FINGER_SIGNS)
        for stamp, *sample in zip(stamps_ns, positions, velocities, fingers, strict=True):
            self._joint_states.publish(to_joint_state(stamp, self._joint_names, *sample))

    def send_images(self, stamp_ns: int, observation: Observation) -> None:
        """Publish every camera's image under the observation's stamp."""
        for camera, publisher in self._images.items():
            message = to_image_message(observation.images[camera])
            message.header.stamp = to_stamp(stamp_ns)
            message.header.frame_id = f'{self._robot}/{camera}_optical_frame'
            publisher.publish(message)

    def wait_for_match(self, timeout_s: float) -> set[str]:
        """Wait until policy and robot see each other; return the topics that nobody answers to."""
        with self._changed:
            self._changed.wait_for(lambda: not self._unmatched or self._interruption, timeout_s)
            return set(self._unmatched)

    def wait_for_answer(self, timeout_s: float) -> Answer | None:
        """Return the oldest queued chunk; None after the timeout or an interruption."""
        with self._changed:
            self._changed.wait_for(lambda: self._answers or self._interruption, timeout_s)
            return self._answers.popleft() if self._answers else None

    def interrupted(self) -> str:
        """Return why the running episode must end; empty while it may go on."""
        with self._changed:
            return self._interruption

    def interrupt(self, reason: str) -> None:
        """End the running episode; an empty reason lets the next one begin."""
        with self._changed:
            self._interruption = reason
            self._changed.notify_all()

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        answer = from_action_chunk(message)
        if message.action_space != ACTION_SPACE and not answer.refusal:
            refusal = f'action space {message.action_space!r}, LIBERO takes {ACTION_SPACE!r}'
            answer = dataclasses.replace(answer, refusal=refusal)
        with self._changed:
            self._answers.append(answer)
            self._changed.notify_all()

    def _on_match(self, name: str, info: QoSPublisherMatchedInfo) -> None:
        with self._changed:
            if info.current_count > 0:
                self._unmatched.discard(name)
            else:
                self._unmatched.add(name)
            self._changed.notify_all()
