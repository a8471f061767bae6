"""A simulated robot's topics on the policy's side, in lock-step with its bridge."""

from __future__ import annotations

import threading

from rclpy.node import Node
from sensor_msgs.msg import JointState

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.observation_slot import JOINTS, ObservationSlot
from smoothvla_ros.nodes.base.diagnostics import Diagnostics
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.policy.robot import PolicyRobot
from smoothvla_ros.nodes.topics.messages import from_episode_state
from smoothvla_ros.nodes.topics.quality_of_service import Profiles, with_depth


class LockStepRobot(PolicyRobot):
    """Every observation has one stamp, and belongs to the episode that the bridge announces."""

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
        """Take what `PolicyRobot` does but the slot."""
        self._announced = slot = ObservationSlot(config.cameras)
        super().__init__(
            node, name, slot, config, joints, base_frame, quality, changed, diagnostics
        )
        # Of a burst only the last sample asks: the others need not wake the executor.
        newest = with_depth(quality.joint_states, 1)
        self._subscribe(JointState, f'{name}/joint_states', JOINTS, newest)
        node.create_subscription(
            msg.EpisodeState, f'{name}/episode_state', self._on_episode, quality.state
        )

    def _on_episode(self, message: msg.EpisodeState) -> None:
        with self._changed:
            self._announced.announce(from_episode_state(message))
            self._changed.notify_all()
