"""Between the motion guard and its messages."""

from __future__ import annotations

import array
import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.motion import Motion
from smoothvla_ros.control.motion_guard.refusals import Chunk
from smoothvla_ros.control.motion_guard.timeline import NANOSECONDS
from smoothvla_ros.nodes.stamps import to_nanoseconds, to_stamp


def from_action_chunk(message: msg.ActionChunk) -> Chunk:
    """Return the chunk as it came; nothing is checked here."""
    return Chunk(
        epoch=message.epoch,
        seq=message.seq,
        stamp_ns=to_nanoseconds(message.header.stamp),
        observation_stamp_ns=to_nanoseconds(message.observation_stamp),
        dt=message.dt,
        action_space=message.action_space,
        horizon=message.horizon,
        dimension=message.dimension,
        actions=np.array(message.actions),
        refusal=message.refusal,
    )


def to_joint_trajectory(motion: Motion, start_ns: int, joints: Sequence[str]) -> JointTrajectory:
    """Return a motion as points at absolute times: the stamp is that of its first state.

    start_ns: when the motion's tick 0 is.  A controller that gets the message a moment later finds
    its present state between the first points, where this motion is the one that it follows.
    """
    period_ns = round(motion.period_s * NANOSECONDS)
    first = int(motion.ticks[0])
    message = JointTrajectory(joint_names=list(joints))
    message.header.stamp = to_stamp(start_ns + first * period_ns)
    for tick, (position, velocity, acceleration) in zip(
        motion.ticks.tolist(), motion.states, strict=True
    ):
        seconds, rest = divmod((tick - first) * period_ns, NANOSECONDS)
        point = JointTrajectoryPoint(time_from_start=Duration(sec=seconds, nanosec=rest))
        point.positions = array.array('d', position.tobytes())
        point.velocities = array.array('d', velocity.tobytes())
        point.accelerations = array.array('d', acceleration.tobytes())
        message.points.append(point)
    return message


def to_guard_state(guard: MotionGuard, robot: str, frame_id: str, stamp_ns: int) -> msg.GuardState:
    """Return what the guard does now."""
    error = guard.tracking_error_rad()
    message = msg.GuardState(
        robot=robot,
        phase=int(guard.phase),
        reason=guard.reason,
        fault_latched=guard.fault_latched,
        epoch=max(guard.epoch, 0),
        seq=max(guard.seq, 0),
        lag=guard.lag_rad,
        tracking_error=error if math.isfinite(error) else math.nan,
        ticks=guard.ticks,
        late_ticks=guard.late_ticks,
        unextended_ticks=guard.unextended_ticks,
        chunks=guard.chunks,
        refusal_reasons=[str(refusal) for refusal in guard.refusals],
        refusals=list(guard.refusals.values()),
    )
    message.header.stamp = to_stamp(stamp_ns)
    message.header.frame_id = frame_id
    return message
