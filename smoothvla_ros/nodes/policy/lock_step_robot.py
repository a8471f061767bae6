"""A simulated robot's topics on the policy's side, in lock-step with its bridge."""

from __future__ import annotations

from sensor_msgs.msg import JointState

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.observation_slot import JOINTS, ObservationSlot
from smoothvla_ros.nodes.policy.robot import PolicyRobot, Shared
from smoothvla_ros.nodes.topics.messages import from_episode_state
from smoothvla_ros.nodes.topics.quality_of_service import with_depth


class LockStepRobot(PolicyRobot):
    """Every observation has one stamp, and belongs to the episode that the bridge announces."""

    def __init__(self, shared: Shared, name: str) -> None:
        """Take what `PolicyRobot` does but the slot."""
        self._announced = ObservationSlot(shared.config.cameras)
        super().__init__(shared, name, self._announced)
        # Of a burst only the last sample asks: the others need not wake the executor.
        newest = with_depth(shared.quality.joint_states, 1)
        self._subscribe(JointState, f'{name}/joint_states', JOINTS, newest)
        self._node.create_subscription(
            msg.EpisodeState, f'{name}/episode_state', self._on_episode, shared.quality.state
        )

    def _on_episode(self, message: msg.EpisodeState) -> None:
        with self._changed:
            self._announced.announce(from_episode_state(message))
            self._changed.notify_all()
