"""One robot as the policy sees it: parts that arrive on their own become one observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from smoothvla_ros.control.lock_step.protocol import Answer, EpisodePhase, EpisodeState, Question

JOINTS = 'joint_states'
# The hand of a real arm may have a driver of its own.
GRIPPER = 'gripper_states'


@dataclass(frozen=True)
class PendingObservation:
    """A complete observation that waits for its chunk; `parts` are the payloads by name."""

    question: Question
    state: EpisodeState
    parts: dict[str, Any]


class Slot(Protocol):
    """One robot as whoever answers it sees it."""

    def expect_chunks(self, chunk_period_ns: int) -> None:
        """Take the time between two questions, ns; nothing is pending before."""
        ...

    def forget_answer(self) -> None:
        """Answer the next observation anew, whichever it is."""
        ...

    def add(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Take one part of an observation."""
        ...

    def pending(self) -> PendingObservation | None:
        """Return the complete observation that is to be answered now, if there is one."""
        ...

    def repeated(self, question: Question) -> Answer | None:
        """Return the last answer if it answered exactly this question."""
        ...

    def settle(self, question: Question, answer: Answer | None) -> None:
        """Note that `question` was answered, or refused (None)."""
        ...


class ObservationSlot:
    """Joins images, joint state and episode state of one robot; keeps the last answer.

    Topics have no common order, so a question exists only once every part carries one stamp and
    the running episode has begun by then. A part may be any payload: nothing here looks inside.
    """

    def __init__(self, cameras: Sequence[str]) -> None:
        """Expect one image of each camera and one joint state an observation."""
        self._names = (*cameras, JOINTS)
        self._chunk_period_ns = 0
        self._fresh: dict[str, tuple[int, Any]] = {}
        self._state: EpisodeState | None = None
        self._answer: Answer | None = None

    def expect_chunks(self, chunk_period_ns: int) -> None:
        """Take the simulated time between two questions; nothing is pending before."""
        self._chunk_period_ns = chunk_period_ns

    def forget_answer(self) -> None:
        """Answer the next observation anew, whichever it is."""
        self._answer = None

    def add(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Take one part; the newest arrival of each name counts."""
        self._fresh[name] = (stamp_ns, payload)

    def announce(self, state: EpisodeState) -> None:
        """Take the robot's episode state."""
        self._state = state

    def pending(self) -> PendingObservation | None:
        """Return the complete observation, if there is one that has not been settled."""
        state = self._state
        if state is None or state.phase is not EpisodePhase.RUNNING or not self._chunk_period_ns:
            return None
        stamps = {self._fresh[name][0] for name in self._names if name in self._fresh}
        if len(stamps) != 1 or len(self._fresh) != len(self._names):
            return None
        stamp = stamps.pop()
        chunk_index, rest = divmod(stamp - state.first_stamp_ns, self._chunk_period_ns)
        if chunk_index < 0 or rest:
            return None
        question = Question(
            state.episode_id, state.attempt, chunk_index, stamp, state.policy_version
        )
        return PendingObservation(
            question, state, {name: self._fresh[name][1] for name in self._names}
        )

    def repeated(self, question: Question) -> Answer | None:
        """Return the last answer if it answered exactly this question."""
        if self._answer is not None and self._answer.question == question:
            return self._answer
        return None

    def settle(self, question: Question, answer: Answer | None) -> None:
        """Note that `question` was answered, or refused (None): it is pending no more.

        Parts that came meanwhile, with another stamp, stay.
        """
        if answer is not None:
            self._answer = answer
        self._fresh = {
            name: part for name, part in self._fresh.items() if part[0] != question.stamp_ns
        }
