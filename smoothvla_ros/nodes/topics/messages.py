"""Records to messages and back, without a bit lost."""

from __future__ import annotations

import array
from collections.abc import Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, JointState

from smoothvla_ros import msg
from smoothvla_ros.cameras.calibration import Calibration
from smoothvla_ros.control.lock_step.decoded_messages import decision_of, unpacked
from smoothvla_ros.control.lock_step.protocol import (
    Answer,
    Decision,
    EpisodePhase,
    EpisodeReport,
    EpisodeState,
    Question,
)
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.topics.image_conversion import to_image_array, to_image_message
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.records import EpisodeRequest

# Joint states have what the hardware's state interfaces say, and NaN or nothing for the rest.
_NEEDS_VELOCITY = (
    'the policy needs velocities: add a velocity state interface to each joint in the '
    'ros2_control description'
)
_TYPECODES = {'d': np.float64, 'f': np.float32, 'i': np.int32}


def _pack(typecode: str, values: Any) -> array.array[Any]:
    """Return a message's array, row-major; much quicker than assigning an ndarray."""
    return array.array(typecode, np.ascontiguousarray(values, _TYPECODES[typecode]).tobytes())


def to_joint_state(
    stamp_ns: int,
    names: Sequence[str],
    positions: np.ndarray,
    velocities: np.ndarray,
    gripper_positions: np.ndarray,
) -> JointState:
    """Return arm and gripper as one message; the fingers' velocity is not known: NaN.

    names: of the arm's joints, then of the fingers.
    """
    message = JointState(name=list(names))
    message.header.stamp = to_stamp(stamp_ns)
    message.position = _pack('d', np.concatenate([positions, gripper_positions]))
    unknown = np.full(len(gripper_positions), np.nan)
    message.velocity = _pack('d', np.concatenate([velocities, unknown]))
    return message


def joint_values(
    message: JointState,
    arm: Sequence[str],
    gripper: Sequence[str],
    gripper_message: JointState | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return positions [n] rad, velocities [n] rad/s and gripper positions [fingers] m, by name.

    gripper_message: where the gripper's joints are; None is where the arm's are.
    Raises UserError naming a joint that its message lacks, or numbers that are not finite.
    """
    if len(message.velocity) != len(message.name):
        raise UserError(f'joint_states lacks velocities for some of its names; {_NEEDS_VELOCITY}')
    index = _joint_index(message, arm)
    if gripper_message is None:
        gripper_message = message
    fingers = np.array(gripper_message.position)[_joint_index(gripper_message, gripper)]
    positions, velocities = np.array(message.position)[index], np.array(message.velocity)[index]
    for name, values, remedy in (
        ('position of an arm joint', positions, ''),
        ('velocity of an arm joint', velocities, f'; {_NEEDS_VELOCITY}'),
        ('position of the gripper', fingers, ''),
    ):
        if not np.isfinite(values).all():
            raise UserError(f'joint_states: a {name} is not finite ({values.tolist()}){remedy}')
    return positions, velocities, fingers


def _joint_index(message: JointState, names: Sequence[str]) -> list[int]:
    """Return where joints stand in a message.  Raises UserError for one that it lacks."""
    index = {name: i for i, name in enumerate(message.name)}
    missing = [name for name in names if name not in index]
    if missing:
        raise UserError(
            f'joint_states has no joint {missing[0]!r}, only {", ".join(message.name)}; '
            'set the parameters robot and gripper_joints, or gripper_states where the '
            'gripper has messages of its own, on another topic or on this one'
        )
    if len(message.position) != len(message.name):
        raise UserError('joint_states lacks positions for some of its names')
    return [index[name] for name in names]


def to_camera_info(calibration: Calibration | None, width: int, height: int) -> CameraInfo:
    """Return the message for an image of this size; k is zero where nothing is known, as agreed.

    Raises UserError where the calibration is for another view.
    """
    if calibration is None:
        return CameraInfo(width=width, height=height)
    fitting = calibration.for_size(width, height)
    return CameraInfo(
        width=width,
        height=height,
        distortion_model=fitting.distortion_model,
        d=fitting.d.tolist(),
        k=fitting.k.reshape(-1),
        r=fitting.r.reshape(-1),
        p=fitting.p.reshape(-1),
    )


def to_request(
    request: EpisodeRequest, robot: str, deadline_s: float, now_ns: int
) -> msg.EpisodeRequest:
    """Return the message that asks `robot` for an episode."""
    message = msg.EpisodeRequest(
        robot=robot,
        episode_id=request.episode_id,
        attempt=request.attempt,
        suite=request.name.suite,
        task=request.name.task,
        init_state=request.name.init_state,
        scene_seed=request.name.scene_seed,
        group=request.group,
        temperature=float(request.temperature),
        seed=request.seed,
        policy_version=request.policy_version,
        horizon=request.horizon or 0,
        deadline=float(deadline_s),
    )
    message.header.stamp = to_stamp(now_ns)
    return message


def to_episode_state(state: EpisodeState, now_ns: int) -> msg.EpisodeState:
    """Return the latched message of a robot's episode."""
    message = msg.EpisodeState(
        robot=state.robot,
        episode_id=state.episode_id,
        attempt=state.attempt,
        phase=int(state.phase),
        first_stamp=to_stamp(state.first_stamp_ns),
        last_stamp=to_stamp(state.last_stamp_ns),
        samples=state.samples,
        temperature=float(state.temperature),
        seed=state.seed,
        policy_version=state.policy_version,
        instruction=state.instruction,
        suite=state.suite,
        task=state.task,
        success=state.success,
    )
    message.header.stamp = to_stamp(now_ns)
    return message


def from_episode_state(message: msg.EpisodeState) -> EpisodeState:
    """Return the record of a robot's episode."""
    return EpisodeState(
        robot=message.robot,
        episode_id=message.episode_id,
        attempt=message.attempt,
        phase=EpisodePhase(message.phase),
        first_stamp_ns=to_nanoseconds(message.first_stamp),
        last_stamp_ns=to_nanoseconds(message.last_stamp),
        samples=message.samples,
        temperature=message.temperature,
        seed=message.seed,
        policy_version=message.policy_version,
        instruction=message.instruction,
        suite=message.suite,
        task=message.task,
        success=message.success,
    )


def to_action_chunk(
    answer: Answer, now_ns: int, period_s: float, action_space: str, frame_id: str
) -> msg.ActionChunk:
    """Return the chunk for the robot; `policy_version` is the version that answered."""
    rows, columns = answer.actions.shape if not answer.refusal else (0, 0)
    message = msg.ActionChunk(
        epoch=answer.epoch,
        seq=answer.seq,
        policy_version=answer.question.policy_version,
        episode_id=answer.question.episode_id,
        attempt=answer.question.attempt,
        chunk_index=answer.question.chunk_index,
        observation_stamp=to_stamp(answer.question.stamp_ns),
        dt=period_s,
        action_space=action_space,
        horizon=rows,
        dimension=columns,
        refusal=answer.refusal,
        actions=_pack('d', answer.actions),
        tokens=_pack('i', answer.tokens),
        log_probs=_pack('f', answer.log_probs),
    )
    message.header.stamp = to_stamp(now_ns)
    message.header.frame_id = frame_id
    return message


def from_action_chunk(message: msg.ActionChunk) -> Answer:
    """Return the chunk; arrays of another size than announced come out empty."""
    shape = (message.horizon, message.dimension)
    size = message.horizon * message.dimension
    arrays = (message.actions, message.tokens, message.log_probs)
    if any(len(values) != size for values in arrays):
        shape, arrays = (0, 0), ([], [], [])
    actions, tokens, log_probs = (unpacked(values, *shape) for values in arrays)
    return Answer(
        question=Question(
            message.episode_id,
            message.attempt,
            message.chunk_index,
            to_nanoseconds(message.observation_stamp),
            message.policy_version,
        ),
        epoch=message.epoch,
        seq=message.seq,
        actions=actions,
        tokens=tokens.astype(np.int64),
        log_probs=log_probs,
        refusal=message.refusal,
    )


def to_rollout_step(decision: Decision, joint_names: Sequence[str]) -> msg.RolloutStep:
    """Return what the trainer learns from; joint_names: of the arm."""
    question, observation = decision.question, decision.observation
    nothing = np.empty(0)
    rows, columns = decision.tokens.shape
    message = msg.RolloutStep(
        robot=decision.robot,
        episode_id=question.episode_id,
        attempt=question.attempt,
        chunk_index=question.chunk_index,
        epoch=decision.epoch,
        policy_version=question.policy_version,
        temperature=float(decision.temperature),
        camera_names=list(observation.images),
        images=[to_image_message(image) for image in observation.images.values()],
        joint_state=to_joint_state(
            question.stamp_ns,
            joint_names,
            observation.joint_positions,
            observation.joint_velocities,
            nothing,
        ),
        gripper_positions=_pack('d', observation.gripper_positions),
        instruction=observation.instruction,
        horizon=rows,
        dimension=columns,
        tokens=_pack('i', decision.tokens),
        log_probs=_pack('f', decision.log_probs),
    )
    message.header.stamp = to_stamp(question.stamp_ns)
    return message


def from_rollout_step(message: msg.RolloutStep) -> Decision:
    """Return the decision with its observation."""
    return decision_of(message, to_image_array)


def to_episode_result(report: EpisodeReport, now_ns: int) -> msg.EpisodeResult:
    """Return what became of a request, with the whole motion."""
    message = msg.EpisodeResult(
        robot=report.robot,
        episode_id=report.episode_id,
        attempt=report.attempt,
        policy_version=report.policy_version,
        failure=report.failure,
        success=report.success,
        chunks=len(report.chunks),
        executed_per_chunk=[chunk.executed for chunk in report.chunks],
        epoch_per_chunk=[chunk.epoch for chunk in report.chunks],
        observation_stamps=[to_stamp(chunk.stamp_ns) for chunk in report.chunks],
    )
    message.header.stamp = to_stamp(now_ns)
    trajectory = report.trajectory
    if trajectory is None:
        return message
    message.steps = trajectory.steps
    message.control_period = trajectory.control_period_s
    message.substep_period = trajectory.substep_period_s
    message.action_dimension = trajectory.actions.shape[1]
    message.joints = trajectory.joint_positions.shape[1]
    message.substeps = (len(trajectory.substep_joint_positions) - 1) // max(trajectory.steps, 1)
    message.actions = _pack('d', trajectory.actions)
    message.joint_positions = _pack('d', trajectory.joint_positions)
    message.joint_velocities = _pack('d', trajectory.joint_velocities)
    message.tool_positions = _pack('d', trajectory.tool_positions)
    message.tool_rotations = _pack('d', trajectory.tool_rotations)
    message.substep_joint_positions = _pack('f', trajectory.substep_joint_positions)
    return message
