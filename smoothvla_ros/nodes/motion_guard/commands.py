"""From the guard's commands to the topics of an arm's and a gripper's controller."""

from __future__ import annotations

import array
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from builtin_interfaces.msg import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from smoothvla_ros.control.motion_guard.guard import GuardCommand
from smoothvla_ros.control.motion_guard.motion import POSITION, VELOCITY
from smoothvla_ros.nanoseconds import seconds_and_rest, whole_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import Diagnostics
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig
from smoothvla_ros.nodes.motion_guard.gripper_action import ACTIONS, ActionGripper
from smoothvla_ros.nodes.motion_guard.messages import TrajectoryMessages
from smoothvla_ros.nodes.topics.controllers import (
    COMMAND_TOPICS,
    GRIPPER_POSITIONS,
    GRIPPER_TOPICS,
    GRIPPER_TRAJECTORY,
    POSITION_CONTROLLER,
)
from smoothvla_ros.nodes.topics.stamps import to_stamp


class ArmCommands:
    """Publishes what the arm's controller understands."""

    def __init__(
        self, node: Node, config: MotionGuardConfig, joints: Sequence[str], quality: QoSProfile
    ) -> None:
        self._messages = TrajectoryMessages(joints)
        self._streams = config.controller == POSITION_CONTROLLER
        topic = config.command_topic or COMMAND_TOPICS[config.controller]
        message_type = Float64MultiArray if self._streams else JointTrajectory
        self._publisher = node.create_publisher(message_type, topic, quality)

    def nobody_listens(self) -> str:
        """Return why commands would reach no controller; '' where one listens.

        Armed all the same, the guard would see an arm that does not follow, as one that pushes
        against something. So it does where a controller is configured and not active, which listens
        as an active one does.
        """
        if self._publisher.get_subscription_count():
            return ''
        topic = self._publisher.topic_name
        return (
            f'nobody listens on {topic}; load and activate the controller, or set command_topic to '
            'its own'
        )

    def send(self, command: GuardCommand) -> None:
        """Publish a command, if there is anything in it for this controller."""
        if self._streams:
            if command.position is not None:
                data = array.array('d', command.position.tobytes())
                self._publisher.publish(Float64MultiArray(data=data))
        elif command.motion is not None:
            self._publisher.publish(self._messages.of(command.motion, command.start_ns))


class CommandedJoints:
    """Says what the arm is commanded at each tick, as joint states are said, if anyone listens."""

    def __init__(self, node: Node, joints: Sequence[str], quality: QoSProfile) -> None:
        self._message = JointState(name=list(joints))
        self._publisher = node.create_publisher(JointState, '~/commanded_joint_states', quality)

    def send(self, now_ns: int, commanded: Callable[[], np.ndarray | None]) -> None:
        """Publish position and velocity of the state [3, n] of now; None: nothing is commanded."""
        state = commanded() if self._publisher.get_subscription_count() else None
        if state is None:
            return
        self._message.header.stamp = to_stamp(now_ns)
        self._message.position = array.array('d', state[POSITION].tobytes())
        self._message.velocity = array.array('d', state[VELOCITY].tobytes())
        self._publisher.publish(self._message)


class GripperCommands(Protocol):
    """Opens and closes a gripper."""

    def send(self, opens: bool) -> None:
        """Bring the gripper's joints to where they are open, or closed."""
        ...

    def is_lost(self) -> bool:
        """Return once, whether the last command came to nothing and is to be given again."""
        ...


def gripper_commands(
    node: Node, config: MotionGuardConfig, quality: QoSProfile, diagnostics: Diagnostics
) -> GripperCommands | None:
    """Return the adapter that the configuration asks for; None: there is no gripper.

    Raises UserError where it needs what is not installed.
    """
    topic = config.gripper_topic or GRIPPER_TOPICS[config.gripper]
    if config.gripper == GRIPPER_TRAJECTORY:
        return _TrajectoryGripper(node, topic, config, quality)
    if config.gripper == GRIPPER_POSITIONS:
        return _PositionsGripper(node, topic, config, quality)
    if config.gripper in ACTIONS:
        return ActionGripper(node, topic, config, diagnostics)
    return None


class _TrajectoryGripper:
    """One point, at the time that the gripper takes from end to end."""

    def __init__(
        self, node: Node, topic: str, config: MotionGuardConfig, quality: QoSProfile
    ) -> None:
        self._config = config
        seconds, rest = seconds_and_rest(whole_nanoseconds(config.gripper_travel_s))
        self._travel = Duration(sec=seconds, nanosec=rest)
        self._publisher = node.create_publisher(JointTrajectory, topic, quality)

    def send(self, opens: bool) -> None:
        point = JointTrajectoryPoint(
            positions=_positions(self._config, opens), time_from_start=self._travel
        )
        names = list(self._config.gripper_joints)
        self._publisher.publish(JointTrajectory(joint_names=names, points=[point]))

    def is_lost(self) -> bool:
        return False


class _PositionsGripper:
    """The positions and nothing else, as a forward controller takes them."""

    def __init__(
        self, node: Node, topic: str, config: MotionGuardConfig, quality: QoSProfile
    ) -> None:
        self._config = config
        self._publisher = node.create_publisher(Float64MultiArray, topic, quality)

    def send(self, opens: bool) -> None:
        self._publisher.publish(Float64MultiArray(data=_positions(self._config, opens)))

    def is_lost(self) -> bool:
        return False


def _positions(config: MotionGuardConfig, opens: bool) -> list[float]:
    return list(config.gripper_open if opens else config.gripper_closed)
