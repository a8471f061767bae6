"""Requests, results and decisions from messages, whoever decoded them.

A message is anything with the fields of its .msg file: rclpy's own classes, or what a reader of
recordings makes of the same bytes. Nothing is imported from ROS, and no bit is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from smoothvla_ros.control.lock_step.protocol import (
    Decision,
    EpisodeReport,
    ExecutedChunk,
    Question,
)
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation, Trajectory


def unpacked(values: Any, *shape: int) -> np.ndarray:
    """Return a message's array in its own type and the given shape."""
    return np.array(values).reshape(shape)


def request_of(message: Any) -> EpisodeRequest:
    """Return the request in an EpisodeRequest, without the robot's name and the deadline."""
    return EpisodeRequest(
        episode_id=message.episode_id,
        name=EpisodeName(message.suite, message.task, message.init_state, message.scene_seed),
        group=message.group,
        temperature=message.temperature,
        seed=message.seed,
        policy_version=message.policy_version,
        attempt=message.attempt,
        horizon=message.horizon or None,
    )


def decision_of(message: Any, to_image: Callable[[Any], np.ndarray]) -> Decision:
    """Return the decision in a RolloutStep, with its observation.

    to_image: sensor_msgs/Image to uint8 [height, width, 3], RGB.
    """
    shape = (message.horizon, message.dimension)
    images = map(to_image, message.images)
    return Decision(
        robot=message.robot,
        question=Question(
            message.episode_id,
            message.attempt,
            message.chunk_index,
            to_nanoseconds(message.header.stamp),
            message.policy_version,
        ),
        epoch=message.epoch,
        observation=Observation(
            images=dict(zip(message.camera_names, images, strict=True)),
            joint_positions=np.array(message.joint_state.position),
            joint_velocities=np.array(message.joint_state.velocity),
            gripper_positions=np.array(message.gripper_positions),
            instruction=message.instruction,
        ),
        tokens=unpacked(message.tokens, *shape).astype(np.int64),
        log_probs=unpacked(message.log_probs, *shape),
        temperature=float(message.temperature),
    )


def report_of(message: Any) -> EpisodeReport:
    """Return what became of a request, from an EpisodeResult."""
    trajectory = None
    if not message.failure:
        steps, joints = message.steps, message.joints
        trajectory = Trajectory(
            actions=unpacked(message.actions, steps, message.action_dimension),
            joint_positions=unpacked(message.joint_positions, steps + 1, joints),
            joint_velocities=unpacked(message.joint_velocities, steps + 1, joints),
            tool_positions=unpacked(message.tool_positions, steps + 1, 3),
            tool_rotations=unpacked(message.tool_rotations, steps + 1, 3, 3),
            substep_joint_positions=unpacked(
                message.substep_joint_positions, steps * message.substeps + 1, joints
            ),
            control_period_s=message.control_period,
            substep_period_s=message.substep_period,
        )
    chunks = zip(
        message.observation_stamps,
        message.epoch_per_chunk,
        message.executed_per_chunk,
        strict=True,
    )
    return EpisodeReport(
        robot=message.robot,
        episode_id=message.episode_id,
        attempt=message.attempt,
        policy_version=message.policy_version,
        failure=message.failure,
        success=message.success,
        chunks=tuple(
            ExecutedChunk(to_nanoseconds(stamp), int(epoch), int(executed))
            for stamp, epoch, executed in chunks
        ),
        trajectory=trajectory,
    )
