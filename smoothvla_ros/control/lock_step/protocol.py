"""The lock-step protocol between simulation, policy and trainer: identities and the rules on them.

Every exchange has an identity, so that sending twice is harmless and nothing old is ever taken for
new. docs/architecture.md holds the transition tables; this module holds their vocabulary and the
two rules that need a memory: stamps that never repeat, and which chunk may be executed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np

from smoothvla_ros.nanoseconds import whole_nanoseconds
from smoothvla_ros.records import Observation, Trajectory


class Question(NamedTuple):
    """What one observation asks of the policy, exactly."""

    episode_id: str
    attempt: int
    chunk_index: int
    stamp_ns: int
    policy_version: int


@dataclass(frozen=True)
class Answer:
    """One chunk as the policy sent it.

    epoch, seq: the policy's activation, and the chunk's number within it for this robot.
    actions: float64 [chunk, dimension]; tokens: int64, log_probs: float32 of the same shape.
    refusal: why the question is not answered; the arrays are then empty.
    """

    question: Question
    epoch: int
    seq: int
    actions: np.ndarray
    tokens: np.ndarray
    log_probs: np.ndarray
    refusal: str = ''


class EpisodePhase(IntEnum):
    """Of an episode; the values are those of EpisodeState.msg."""

    IDLE = 0
    RUNNING = 1
    FINISHED = 2
    ABORTED = 3


@dataclass(frozen=True)
class EpisodeState:
    """Which episode a robot is in, and how the policy must sample in it.

    first_stamp_ns, last_stamp_ns: of the first and the last joint sample; the latter 0 until the
    episode is finished, as is `samples`, their number.
    """

    robot: str
    episode_id: str = ''
    attempt: int = 0
    phase: EpisodePhase = EpisodePhase.IDLE
    first_stamp_ns: int = 0
    last_stamp_ns: int = 0
    samples: int = 0
    temperature: float = 0.0
    seed: int = 0
    policy_version: int = 0
    instruction: str = ''
    suite: str = ''
    task: int = 0
    success: bool = False


class ExecutedChunk(NamedTuple):
    """A chunk that moved the robot: which answer it was, and how many of its steps were run."""

    stamp_ns: int
    epoch: int
    executed: int


@dataclass(frozen=True)
class EpisodeReport:
    """What became of one request. A non-empty `failure` means there was no valid episode."""

    robot: str
    episode_id: str
    attempt: int
    policy_version: int
    failure: str = ''
    success: bool = False
    chunks: tuple[ExecutedChunk, ...] = ()
    trajectory: Trajectory | None = None


@dataclass(frozen=True)
class Decision:
    """What a trainer learns from: the observation of one question and the tokens chosen on it.

    tokens: int64 [chunk, dimension]; log_probs: float32 of the same shape.
    temperature: at which they were drawn; NaN where nobody said.
    """

    robot: str
    question: Question
    epoch: int
    observation: Observation
    tokens: np.ndarray
    log_probs: np.ndarray
    temperature: float = math.nan


class SimulationClock:
    """Stamps of one robot: its start plus accumulated simulation time, never rewound."""

    def __init__(self, start_ns: int, period_s: float) -> None:
        self.period_ns = whole_nanoseconds(period_s)
        self.now_ns = start_ns

    def advance(self, steps: int) -> list[int]:
        """Let `steps` control periods pass and return the stamp after each, in nanoseconds."""
        stamps = [self.now_ns + self.period_ns * (step + 1) for step in range(steps)]
        self.now_ns += self.period_ns * steps
        return stamps


class ChunkVerdict(StrEnum):
    """What becomes of a chunk that reached a robot."""

    EXECUTE = 'execute'
    REFUSED = 'refused by the policy'
    NOT_ASKED = 'nothing was asked'
    OLD_EPOCH = 'from a policy that was replaced'
    OLD_SEQUENCE = 'not newer than the last one'
    OTHER_EPISODE = 'for another episode or attempt'
    OTHER_OBSERVATION = 'for another observation'
    OTHER_VERSION = 'from other weights than asked for'
    MALFORMED = 'not a finite array of the expected size'


class ChunkGate:
    """Lets exactly one answer through for each question.

    The policy's epoch strictly rises from activation to activation; a higher one resets the
    sequence, and a lower one is a policy that was replaced.
    """

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._epoch = -1
        self._seq = -1
        self._question: Question | None = None

    def ask(self, question: Question) -> None:
        """Expect an answer to `question` and to nothing else; asking again changes nothing."""
        self._question = question

    def offer(self, answer: Answer) -> ChunkVerdict:
        """Judge a chunk; after EXECUTE nothing more is accepted until the next question."""
        if answer.epoch < self._epoch:
            return ChunkVerdict.OLD_EPOCH
        if answer.epoch > self._epoch:
            self._epoch, self._seq = answer.epoch, -1
        if answer.seq <= self._seq:
            return ChunkVerdict.OLD_SEQUENCE
        if self._question is None:
            return ChunkVerdict.NOT_ASKED
        verdict = self._compare(answer, self._question)
        if verdict is ChunkVerdict.EXECUTE:
            self._seq = answer.seq
            self._question = None
        return verdict

    def _compare(self, answer: Answer, asked: Question) -> ChunkVerdict:
        got = answer.question
        if (got.episode_id, got.attempt) != (asked.episode_id, asked.attempt):
            return ChunkVerdict.OTHER_EPISODE
        if (got.stamp_ns, got.chunk_index) != (asked.stamp_ns, asked.chunk_index):
            return ChunkVerdict.OTHER_OBSERVATION
        if answer.refusal:
            return ChunkVerdict.REFUSED
        if got.policy_version != asked.policy_version:
            return ChunkVerdict.OTHER_VERSION
        actions = answer.actions
        if (
            actions.ndim != 2
            or len(actions) == 0
            or actions.shape[1] != self._dimension
            or not np.isfinite(actions).all()
        ):
            return ChunkVerdict.MALFORMED
        return ChunkVerdict.EXECUTE
