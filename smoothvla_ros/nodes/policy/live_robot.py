"""A real arm's topics on the policy's side, each in its own time."""

from __future__ import annotations

from rclpy.node import Node
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from smoothvla_ros.control.live.live_observation_slot import (
    LiveObservationSlot,
    LiveSettings,
    Trigger,
)
from smoothvla_ros.control.lock_step.observation_slot import GRIPPER, JOINTS
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_seconds, whole_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.policy.robot import PolicyRobot, Shared
from smoothvla_ros.nodes.topics.named_joint_states import NamedJointStates
from smoothvla_ros.nodes.topics.robot_names import robot_topic


class LiveRobot(PolicyRobot):
    """Parts of about one time become an observation; the task is what was told last."""

    def __init__(self, shared: Shared, name: str) -> None:
        """Take what `PolicyRobot` does but the slot."""
        node, config, quality = shared.node, shared.config, shared.quality
        topics = {JOINTS: (config.joint_states, shared.joints)}
        if config.gripper_states:
            topics[GRIPPER] = config.gripper_states, config.gripper_joints
        # A 1 kHz arm must not wake the executor: its samples wait for the next image.
        self._states = {
            part: NamedJointStates(
                node, robot_topic(name, topic), quality.joint_states, part_joints, topic
            )
            for part, (topic, part_joints) in topics.items()
        }
        self._live = _live_slot(node, name, config, tuple(self._states))
        super().__init__(shared, name, self._live)
        node.create_subscription(String, f'{name}/task', self._on_task, quality.state)

    def expect_chunks(self, chunk_period_ns: int, version: int) -> None:
        super().expect_chunks(chunk_period_ns, version)
        self._live.policy_version = version

    def report(self) -> None:
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

    def _on_part(self, part: str, message: Image | JointState) -> None:
        with self._changed:
            for state, queue in self._states.items():
                for sample in queue.take_all():
                    self._add(state, sample)
            self._add(part, message)
            self._changed.notify_all()

    def _on_task(self, message: String) -> None:
        with self._changed:
            try:
                self._live.instruct(message.data)
            except UserError as error:
                self._diagnostics.report(f'{self._name}/task', WARNING, str(error))
            self._changed.notify_all()


def _live_slot(
    node: Node, name: str, config: PolicyConfig, states: tuple[str, ...]
) -> LiveObservationSlot:
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
    clock = node.get_clock()
    slot = LiveObservationSlot(
        name, config.cameras, settings, lambda: clock.now().nanoseconds, states=states
    )
    if config.instruction:
        slot.instruct(config.instruction)
    return slot
