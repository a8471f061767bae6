"""Between the motion guard and its messages."""

from __future__ import annotations

import array
import math
from collections.abc import Sequence

import numpy as np
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.control.motion_guard.refusals import Chunk
from smoothvla_ros.nanoseconds import seconds_and_rest, to_nanoseconds, whole_nanoseconds
from smoothvla_ros.nodes.topics.stamps import to_stamp


def named_values(
    names: Sequence[str], values: Sequence[float], wanted: Sequence[str]
) -> np.ndarray:
    """Return the values of the wanted names; NaN where one is not there."""
    found = dict(zip(names, values, strict=False))
    return np.array([found.get(name, math.nan) for name in wanted])


def chunk_from_message(message: msg.ActionChunk) -> Chunk:
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


class TrajectoryMessages:
    """Makes the messages of motions, out of points that it keeps: new ones take half a tick."""

    def __init__(self, joints: Sequence[str]) -> None:
        self._message = JointTrajectory(joint_names=list(joints))
        self._points: list[JointTrajectoryPoint] = []

    def of(self, motion: CommandedMotion, start_ns: int) -> JointTrajectory:
        """Return a motion as points at absolute times: the stamp is that of its first state.

        start_ns: when the motion's tick 0 is.  The message holds until the next call. A controller
        that gets it a moment later finds its present state between the first points, where this
        motion is the one that it follows.
        """
        period_ns = whole_nanoseconds(motion.period_s)
        first = int(motion.ticks[0])
        while len(self._points) < len(motion.ticks):
            self._points.append(JointTrajectoryPoint())
        numbers = array.array('d', motion.states.tobytes())
        joints = motion.states.shape[2]
        begins = range(0, len(numbers), 3 * joints)
        points = self._points[: len(motion.ticks)]
        for point, tick, begin in zip(points, motion.ticks.tolist(), begins, strict=True):
            time = point.time_from_start
            time.sec, time.nanosec = seconds_and_rest((tick - first) * period_ns)
            point.positions = numbers[begin : begin + joints]
            point.velocities = numbers[begin + joints : begin + 2 * joints]
            point.accelerations = numbers[begin + 2 * joints : begin + 3 * joints]
        self._message.points = points
        self._message.header.stamp = to_stamp(start_ns + first * period_ns)
        return self._message


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
