"""The twin's topics: those of the controllers, the joint state broadcaster and the cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import EpisodePhase, EpisodeState
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nanoseconds import NANOSECOND_S, to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.topics.controllers import (
    COMMAND_TOPICS,
    GRIPPER_POSITIONS,
    GRIPPER_TOPICS,
    GRIPPER_TRAJECTORY,
    POSITION_CONTROLLER,
    TRAJECTORY_CONTROLLER,
)
from smoothvla_ros.nodes.topics.image_conversion import to_image_message
from smoothvla_ros.nodes.topics.messages import to_episode_state, to_joint_state
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles, with_depth
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.twin.arm_twin import FINGER_RANGE_M, TwinState
from smoothvla_ros.simulation.twin.cameras import Images
from smoothvla_ros.simulation.twin.joint_commands import finger_opening, ordered_points
from smoothvla_ros.simulation.twin.runner import TwinRunner

# Sent as fast as a controller's rate: none may be lost behind another.
_COMMAND_DEPTH = 10


class TwinLink:
    """What a `TwinRunner` says becomes messages, and messages become its commands."""

    def __init__(
        self,
        node: Node,
        robot: str,
        cameras: Sequence[str],
        instruction: str,
        diagnostics: Diagnostics,
    ) -> None:
        """instruction: said instead of the task's own; empty is the task's own."""
        self._node = node
        self._robot = robot
        self._instruction = instruction
        self._diagnostics = diagnostics
        self._episode = EpisodeState(robot)
        self._joints = panda_description().joints
        self._quality = quality = profiles(Graph.REAL_ARM)
        self._clock = node.create_publisher(
            Clock, '/clock', QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        self._joint_states = node.create_publisher(
            JointState, f'{robot}/joint_states', quality.joint_states
        )
        self._images = {
            camera: node.create_publisher(
                Image, f'{robot}/camera/{camera}/image_raw', quality.image
            )
            for camera in cameras
        }
        self._task = node.create_publisher(String, f'{robot}/task', quality.state)
        self._episode_state = node.create_publisher(
            msg.EpisodeState, f'{robot}/episode_state', quality.state
        )

    def listen(self, runner: TwinRunner) -> None:
        """Take the commands of the controllers' topics for a runner."""
        self._runner = runner
        commands = with_depth(self._quality.command, _COMMAND_DEPTH)
        for message_type, topic, callback in (
            (JointTrajectory, COMMAND_TOPICS[TRAJECTORY_CONTROLLER], self._on_trajectory),
            (Float64MultiArray, COMMAND_TOPICS[POSITION_CONTROLLER], self._on_positions),
            (JointTrajectory, GRIPPER_TOPICS[GRIPPER_TRAJECTORY], self._on_gripper_trajectory),
            (Float64MultiArray, GRIPPER_TOPICS[GRIPPER_POSITIONS], self._on_gripper),
        ):
            self._node.create_subscription(
                message_type, f'{self._robot}/{topic}', callback, commands
            )

    def clock(self, stamp_ns: int) -> None:
        self._clock.publish(Clock(clock=to_stamp(stamp_ns)))

    def state(self, stamp_ns: int, state: TwinState) -> None:
        names = (*self._joints, *PANDA_GRIPPER_JOINTS)
        self._joint_states.publish(
            to_joint_state(
                stamp_ns,
                names,
                state.joint_positions,
                state.joint_velocities,
                state.finger_positions,
            )
        )

    def images(self, stamp_ns: int, images: Images) -> None:
        for camera, image in images.items():
            message = to_image_message(image)
            message.header.stamp = to_stamp(stamp_ns)
            message.header.frame_id = f'{self._robot}/{camera}_optical_frame'
            self._images[camera].publish(message)

    def began(self, name: EpisodeName, instruction: str, number: int, stamp_ns: int) -> None:
        said = self._instruction or instruction
        self._episode = EpisodeState(
            self._robot,
            f'{name.suite}/{name.task}/{name.init_state}/{name.scene_seed}',
            number,
            EpisodePhase.RUNNING,
            first_stamp_ns=stamp_ns,
            instruction=said,
            suite=name.suite,
            task=name.task,
        )
        self._task.publish(String(data=said))
        self._announce(stamp_ns)
        self._diagnostics.report(self._robot, OK, f'{self._episode.episode_id}: "{said}"')

    def ended(self, success: bool, stamp_ns: int, samples: int) -> None:
        text = 'succeeded' if success else 'did not succeed in time'
        self._end(EpisodePhase.FINISHED, success, stamp_ns, samples, text)

    def cut_short(self, stamp_ns: int, samples: int) -> None:
        self._end(EpisodePhase.ABORTED, False, stamp_ns, samples, 'was cut short by the next scene')

    def _end(
        self, phase: EpisodePhase, success: bool, stamp_ns: int, samples: int, text: str
    ) -> None:
        self._episode = replace(
            self._episode, phase=phase, last_stamp_ns=stamp_ns, samples=samples, success=success
        )
        self._announce(stamp_ns)
        self._diagnostics.report(self._robot, OK, f'{self._episode.episode_id}: {text}')
        self._node.get_logger().info(f'{self._episode.episode_id}: {text}')

    def refused(self, reason: str) -> None:
        self._diagnostics.report(f'{self._robot}/command', WARNING, reason)

    def _announce(self, stamp_ns: int) -> None:
        self._episode_state.publish(to_episode_state(self._episode, stamp_ns))

    def _on_trajectory(self, message: JointTrajectory) -> None:
        start = to_nanoseconds(message.header.stamp)
        try:
            points = ordered_points(message.joint_names, _points(message), self._joints)
        except UserError as error:
            self.refused(str(error))
            return
        self._runner.command(lambda twin: twin.follow(points, self._runner.delay_s(start)))

    def _on_positions(self, message: Float64MultiArray) -> None:
        positions = np.array(message.data)
        self._runner.command(lambda twin: twin.forward(positions))

    def _on_gripper_trajectory(self, message: JointTrajectory) -> None:
        self._open(message.points[-1].positions if message.points else ())

    def _on_gripper(self, message: Float64MultiArray) -> None:
        self._open(message.data)

    def _open(self, values: Sequence[float]) -> None:
        try:
            opening = finger_opening(values, FINGER_RANGE_M)
        except UserError as error:
            self.refused(str(error))
            return
        self._runner.command(lambda twin: twin.open_gripper(opening))


def _points(
    message: JointTrajectory,
) -> list[tuple[float, Sequence[float], Sequence[float], Sequence[float]]]:
    return [
        (
            point.time_from_start.sec + point.time_from_start.nanosec * NANOSECOND_S,
            point.positions,
            point.velocities,
            point.accelerations,
        )
        for point in message.points
    ]
