"""Which steps of which chunks an arm executed, and how it moved meanwhile, from stamps alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import CONTROL_PERIOD_S
from smoothvla_ros.nanoseconds import NANOSECONDS
from smoothvla_ros.records import Trajectory

_SHORTEST_STEPS = 2
# Of stamps in s.
_ROUNDING_S = 1e-6


class Incomplete(Exception):
    """An episode of which something is missing; says what."""


@dataclass(frozen=True)
class SentChunk:
    """One answer of the policy.

    sent_ns: when it was sent.  stamp_ns: of the observation that it answers.  epoch, seq: of the
    policy.  dt: s between actions.  actions: [chunk, dimension].
    """

    sent_ns: int
    stamp_ns: int
    epoch: int
    seq: int
    dt: float
    actions: np.ndarray


@dataclass(frozen=True)
class ExecutedChunks:
    """The chunks of one episode in order.

    executed: control steps of each; T in all, from the first one's `sent_ns` on.
    """

    chunks: tuple[SentChunk, ...]
    executed: tuple[int, ...]

    @property
    def actions(self) -> np.ndarray:
        """[T, dimension] as commanded."""
        parts = zip(self.chunks, self.executed, strict=True)
        return np.concatenate([chunk.actions[:steps] for chunk, steps in parts])


def executed_chunks(
    sent: Sequence[SentChunk],
    taken: Sequence[tuple[int, int, int, int]],
    first_ns: int,
    last_ns: int,
) -> ExecutedChunks:
    """Return what was executed between two times.

    taken: (stamp in ns, epoch, seq, number of chunks taken so far), states of the guard.
    A chunk is executed from when it was sent until the next that the guard took was sent, to the
    nearest control step, and the last one until the end or until it has run out.
    Raises Incomplete where this cannot be known, or where the arm stood and waited in between: the
    steps of such an episode would not tell how it moved.
    """
    states = [state for state in taken if first_ns <= state[0] <= last_ns]
    names = {(epoch, seq) for _, epoch, seq, _ in states}
    chunks = sorted((c for c in sent if (c.epoch, c.seq) in names), key=lambda chunk: chunk.sent_ns)
    if not chunks:
        raise Incomplete('the guard took no chunk in it')
    counted = states[-1][3] - states[0][3] + 1
    if counted > len(chunks):
        raise Incomplete(
            f'{counted - len(chunks)} of {counted} chunks that the guard took are not in the '
            'recording; record on a machine that keeps up'
        )
    step_ns = chunks[0].dt * NANOSECONDS
    begin = chunks[0].sent_ns
    starts = [round((chunk.sent_ns - begin) / step_ns) for chunk in chunks]
    starts.append(int((last_ns - begin) / step_ns))
    executed = []
    for index, chunk in enumerate(chunks):
        steps = max(0, starts[index + 1] - starts[index])
        if steps > len(chunk.actions):
            if index + 1 < len(chunks):
                late = (steps - len(chunk.actions)) * chunk.dt
                raise Incomplete(f'the arm waited {late:.2f} s for chunk {index + 1}; raise lead_s')
            steps = len(chunk.actions)
        executed.append(steps)
    if sum(executed) < _SHORTEST_STEPS:
        raise Incomplete('it was over within two control steps')
    return ExecutedChunks(tuple(chunks), tuple(executed))


def sample_rate_hz(stamps_ns: np.ndarray) -> float:
    """Return how often samples come, in Hz: of two or more stamps [S] in any order."""
    return NANOSECONDS / float(np.median(np.diff(np.unique(stamps_ns))))


def sampled_motion(
    chunks: ExecutedChunks,
    stamps_ns: np.ndarray,
    positions: np.ndarray,
    arm: Arm,
    widest_s: float = CONTROL_PERIOD_S,
) -> Trajectory:
    """Return the motion at the control steps, between the joint samples around each.

    stamps_ns: [S].  positions: [S, n] rad, in the arm's order.
    widest_s: the longest hole of samples that come more often than that: a slow policy's jerk is
    read between its steps.
    Raises Incomplete where samples are missing: before, after, or longer than that or than a
    control step.
    """
    first = chunks.chunks[0]
    period_s, steps = first.dt, sum(chunks.executed)
    order = np.argsort(stamps_ns, kind='stable')
    stamps_s = (stamps_ns[order] - first.sent_ns) / NANOSECONDS
    rows = np.concatenate([np.diff(stamps_s) > 0, [True]]) if len(order) else order
    stamps_s, positions = stamps_s[rows], positions[order][rows]
    end_s = steps * period_s
    if len(stamps_s) < 2 or stamps_s[0] > 0.0 or stamps_s[-1] < end_s:
        raise Incomplete('joint_states do not cover it')
    inside = stamps_s[(stamps_s > -period_s) & (stamps_s < end_s + period_s)]
    hole_s = np.diff(inside).max(initial=0.0) if len(inside) > 1 else np.diff(stamps_s).max()
    # What comes seldom throughout has no holes, and its rate says what is wrong.
    often = len(inside) > 1 and np.median(np.diff(inside)) <= widest_s + _ROUNDING_S
    if hole_s > (min(period_s, widest_s + _ROUNDING_S) if often else period_s):
        raise Incomplete(f'joint_states have a hole of {hole_s:.2f} s')
    if not np.isfinite(positions).all():
        raise Incomplete('joint_states are not all finite')

    def at(moments_s: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(moments_s, stamps_s, column) for column in positions.T], axis=1)

    substeps = max(1, round(period_s / float(np.median(np.diff(inside)))))
    joints = at(period_s * np.arange(steps + 1))
    poses = [arm.tool_pose(row) for row in joints]
    return Trajectory(
        actions=chunks.actions,
        joint_positions=joints,
        joint_velocities=np.gradient(joints, period_s, axis=0),
        tool_positions=np.array([place for place, _ in poses]),
        tool_rotations=np.array([rotation for _, rotation in poses]),
        substep_joint_positions=at(period_s / substeps * np.arange(steps * substeps + 1)).astype(
            np.float32
        ),
        control_period_s=period_s,
        substep_period_s=period_s / substeps,
    )
