"""The joint states of some joints, from a topic on which others may publish theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState

from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription


class NamedJointStates:
    """Messages of one topic that have some of the joints, in order; the others are passed over.

    Arm, gripper and further arms often share one joint_states: what says nothing of these joints
    must neither stand for them nor look like a fault of theirs.
    """

    def __init__(
        self, node: Node, topic: str, profile: QoSProfile, joints: Sequence[str], name: str
    ) -> None:
        """joints: whose messages are wanted.  name: of the topic, as messages to people call it."""
        self._subscription = DrainedSubscription(node, JointState, topic, profile)
        self._joints = tuple(joints)
        self._wanted = frozenset(joints)
        self._name = name
        self._met = False
        self._others: tuple[str, ...] = ()

    def take_all(self) -> Iterator[JointState]:
        """Yield every message of these joints that waits in the queue."""
        for message in self._subscription.take_all():
            if self._wanted.isdisjoint(message.name):
                self._others = tuple(message.name)
                continue
            self._met = True
            yield message

    def unknown_joints(self) -> str:
        """Return what to say where all messages so far were of other joints, or nothing."""
        if self._met or not self._others:
            return ''
        return (
            f'{self._name} has no joint {self._joints[0]!r}, only {", ".join(self._others)}; set '
            'the parameters robot and gripper_joints'
        )
