"""Why a chunk is not executed: one small rule each, asked in this order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.nanoseconds import NANOSECOND_S


class Refusal(StrEnum):
    """The reason of a refused chunk, as GuardState and /diagnostics say it."""

    NOT_ARMED = 'the guard is not armed'
    NO_HEARTBEAT = 'the policy has no heartbeat'
    POLICY_REFUSED = 'the policy refused to answer'
    UNKNOWN_ACTION_SPACE = 'unknown action space'
    WRONG_SHAPE = 'wrong shape or horizon'
    WRONG_PERIOD = 'time between actions out of range'
    NOT_FINITE = 'an action is not finite'
    OLD_EPOCH = 'from an epoch of the policy that is over'
    NEW_EPOCH_IN_MOTION = 'from another epoch of the policy while the arm moves'
    DUPLICATE = 'the same chunk again'
    OUT_OF_ORDER = 'older than the last chunk'
    CHUNK_TOO_OLD = 'made too long ago'
    OBSERVATION_TOO_OLD = 'answers an observation of too long ago'
    FROM_THE_FUTURE = 'stamped later than now'
    TOO_FAR_FROM_ARM = 'begins too far from where the arm was measured'
    UNREACHABLE = 'leads out of reach'


# A policy that sends these is broken or sees another world: what it sent before is not trusted
# either. The others are late or repeated, and what is being executed remains right.
STOPPING = frozenset(
    {
        Refusal.UNKNOWN_ACTION_SPACE,
        Refusal.WRONG_SHAPE,
        Refusal.WRONG_PERIOD,
        Refusal.NOT_FINITE,
        Refusal.NEW_EPOCH_IN_MOTION,
        Refusal.FROM_THE_FUTURE,
        Refusal.TOO_FAR_FROM_ARM,
        Refusal.UNREACHABLE,
    }
)


@dataclass(frozen=True)
class Chunk:
    """A chunk as it came over the wire; nothing of it is trusted.

    actions: flat, in rows of `dimension`.  stamp_ns, observation_stamp_ns: when it was made, and of
    what it answers.  dt: s between two actions.
    """

    epoch: int
    seq: int
    stamp_ns: int
    observation_stamp_ns: int
    dt: float
    action_space: str
    horizon: int
    dimension: int
    actions: np.ndarray
    refusal: str = ''

    def rows(self) -> np.ndarray:
        """Return the actions [horizon, dimension]."""
        return np.asarray(self.actions, dtype=np.float64).reshape(self.horizon, self.dimension)


@dataclass(frozen=True)
class ChunkLimits:
    """What a chunk may be."""

    max_horizon: int = setting(64, 'Most actions in a chunk', minimum=1)
    min_action_period_s: float = setting(0.01, 'Least time between actions, s', minimum=0.001)
    max_action_period_s: float = setting(0.5, 'Most time between actions, s', maximum=10.0)
    max_chunk_age_s: float = setting(0.2, 'Most time since the chunk was made, s', minimum=0.0)
    max_observation_age_s: float = setting(
        0.5, 'Most time since what the chunk answers was observed, s', minimum=0.0
    )
    max_clock_difference_s: float = setting(
        0.02, 'Most that a stamp, also of joints, may lie in the future, s', minimum=0.0
    )
    max_start_distance_rad: float = setting(
        0.15, 'Most between the measured joints and where a chunk begins, rad', minimum=0.0
    )

    def __post_init__(self) -> None:
        validate(self, 'chunk limits')


@dataclass(frozen=True)
class Situation:
    """What a chunk is judged by.

    ready: whether chunks are taken at all.  action_space, dimension: what is expected.  epoch, seq:
    of the last chunk taken; -1 before the first.  moving: whether the arm is.
    """

    now_ns: int
    ready: bool
    heartbeat: bool
    action_space: str
    dimension: int
    epoch: int
    seq: int
    moving: bool


RefusalRule = Callable[[Chunk, Situation, ChunkLimits], bool]


def _shape_is_wrong(chunk: Chunk, situation: Situation, limits: ChunkLimits) -> bool:
    return (
        chunk.dimension != situation.dimension
        or not 1 <= chunk.horizon <= limits.max_horizon
        or len(chunk.actions) != chunk.horizon * chunk.dimension
    )


def _period_is_wrong(chunk: Chunk, situation: Situation, limits: ChunkLimits) -> bool:
    # Written so that a NaN is wrong.
    return not limits.min_action_period_s <= chunk.dt <= limits.max_action_period_s


def _seconds_ago(stamp_ns: int, situation: Situation) -> float:
    return (situation.now_ns - stamp_ns) * NANOSECOND_S


def _is_from_the_future(chunk: Chunk, situation: Situation, limits: ChunkLimits) -> bool:
    newest = max(chunk.stamp_ns, chunk.observation_stamp_ns)
    return _seconds_ago(newest, situation) < -limits.max_clock_difference_s


# The order is that of trust: who sent it, what it is, whether it is late.
RULES: dict[Refusal, RefusalRule] = {
    Refusal.NOT_ARMED: lambda _, situation, __: not situation.ready,
    Refusal.NO_HEARTBEAT: lambda _, situation, __: not situation.heartbeat,
    Refusal.POLICY_REFUSED: lambda chunk, _, __: bool(chunk.refusal),
    Refusal.UNKNOWN_ACTION_SPACE: lambda chunk, situation, _: (
        chunk.action_space != situation.action_space
    ),
    Refusal.WRONG_SHAPE: _shape_is_wrong,
    Refusal.WRONG_PERIOD: _period_is_wrong,
    Refusal.NOT_FINITE: lambda chunk, _, __: not np.isfinite(chunk.actions).all(),
    Refusal.OLD_EPOCH: lambda chunk, situation, _: chunk.epoch < situation.epoch,
    Refusal.NEW_EPOCH_IN_MOTION: lambda chunk, situation, _: (
        situation.moving and chunk.epoch > situation.epoch
    ),
    Refusal.DUPLICATE: lambda chunk, situation, _: (
        (chunk.epoch, chunk.seq) == (situation.epoch, situation.seq)
    ),
    Refusal.OUT_OF_ORDER: lambda chunk, situation, _: (
        chunk.epoch == situation.epoch and chunk.seq < situation.seq
    ),
    Refusal.FROM_THE_FUTURE: _is_from_the_future,
    Refusal.CHUNK_TOO_OLD: lambda chunk, situation, limits: (
        _seconds_ago(chunk.stamp_ns, situation) > limits.max_chunk_age_s
    ),
    Refusal.OBSERVATION_TOO_OLD: lambda chunk, situation, limits: (
        _seconds_ago(chunk.observation_stamp_ns, situation) > limits.max_observation_age_s
    ),
}


def refusal_of(chunk: Chunk, situation: Situation, limits: ChunkLimits) -> Refusal | None:
    """Return the first reason not to execute a chunk, or None."""
    for refusal, breaks in RULES.items():
        if breaks(chunk, situation, limits):
            return refusal
    return None
