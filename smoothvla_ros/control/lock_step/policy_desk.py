"""Which robot a policy answers next, and whether it may: the policy's side of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from smoothvla_ros.control.lock_step.observation_slot import PendingObservation, Slot
from smoothvla_ros.control.lock_step.protocol import Answer


@dataclass(frozen=True)
class Repeat:
    """The same observation came again: send the same answer again."""

    robot: str
    answer: Answer


@dataclass(frozen=True)
class Refuse:
    """A question that these weights must not answer."""

    robot: str
    pending: PendingObservation
    reason: str


@dataclass(frozen=True)
class Decide:
    """Questions of one temperature to answer together, at most one a robot."""

    batch: dict[str, PendingObservation]


Work = Repeat | Refuse | Decide


class PolicyDesk:
    """Looks through the robots' slots, in turn, for the next thing to do. Not thread-safe.

    deterministic: decide for one robot at a time; who is batched with whom changes the last bits.
    """

    def __init__(self, slots: Mapping[str, Slot], deterministic: bool) -> None:
        self.slots = dict(slots)
        self._deterministic = deterministic
        self._turn = list(slots)
        self.refused_versions: dict[int, str] = {}

    def next(self, version: int) -> Work | None:
        """Return what to do with the weights of `version` loaded (negative: none yet).

        A question for a later version waits: its weights are announced on another topic.
        """
        batch: dict[str, PendingObservation] = {}
        for robot in list(self._turn):
            pending = self.slots[robot].pending()
            if pending is None:
                continue
            answer = self.slots[robot].repeated(pending.question)
            if answer is not None:
                self.slots[robot].settle(pending.question, answer)
                return Repeat(robot, answer)
            wanted = pending.question.policy_version
            if wanted in self.refused_versions or wanted < version:
                self.slots[robot].settle(pending.question, None)
                return Refuse(robot, pending, self._reason(wanted, version))
            first = next(iter(batch.values()), pending)
            if wanted == version and pending.state.temperature == first.state.temperature:
                batch[robot] = pending
                if self._deterministic:
                    break
        if not batch:
            return None
        for robot in batch:
            self._turn.remove(robot)
            self._turn.append(robot)
        return Decide(batch)

    def settle(self, robot: str, pending: PendingObservation, answer: Answer | None) -> None:
        """Note the answer of a `Decide`, or that it was refused (None)."""
        self.slots[robot].settle(pending.question, answer)

    def _reason(self, wanted: int, version: int) -> str:
        if wanted in self.refused_versions:
            return self.refused_versions[wanted]
        return f'policy version {wanted} was asked for, but version {version} has replaced it'
