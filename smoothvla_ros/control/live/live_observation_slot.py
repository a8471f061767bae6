"""One real arm as the policy sees it: parts that each have their own clock become one observation.

Cameras and joints of a real arm share no stamp and no episode. What belongs together is found by
stamps, and which observation is worth a decision is a rule: every one, or only the one that is
taken when the running chunk is about to end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from smoothvla_ros.control.live.decision_lead import DecisionLead
from smoothvla_ros.control.lock_step.observation_slot import GRIPPER, JOINTS, PendingObservation
from smoothvla_ros.control.lock_step.protocol import (
    Answer,
    EpisodePhase,
    EpisodeState,
    Question,
)
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECONDS

# Two seconds of a 1 kHz arm, and images of the slowest camera in that time.
_JOINT_SAMPLES = 2000
_IMAGES = 8
_MILLISECONDS = 1_000_000
# Samples of several publishers overtake each other by less; a clock that is set back jumps further.
_LARGEST_DISORDER_NS = 500 * _MILLISECONDS


class Trigger(StrEnum):
    """Which observations are answered."""

    EVERY_OBSERVATION = 'every_observation'
    BEFORE_CHUNK_END = 'before_chunk_end'


TRIGGERS = tuple(trigger.value for trigger in Trigger)


@dataclass(frozen=True)
class LiveSettings:
    """When parts belong together, and when a decision is due; durations in nanoseconds.

    max_skew_ns: between the oldest camera's image and every other part.
    max_gripper_skew_ns: the same for finger positions that have a topic of their own, which a
    gripper's driver says less often; None is max_skew_ns.
    max_age_ns: of that image when the decision begins.
    lead_ns: how long before the end of the running chunk the next one is to be there; what an
    observation and its answer take is measured, and added up to max_lead_ns.
    temperature, seed: how the policy samples; temperature 0 is greedy.
    """

    trigger: Trigger
    max_skew_ns: int
    max_age_ns: int
    lead_ns: int = 0
    max_lead_ns: int = 0
    temperature: float = 0.0
    seed: int = 0
    max_gripper_skew_ns: int | None = None

    def skew_limit(self, part: str) -> tuple[str, int]:
        """Return the parameter that bounds how far a part may lie apart, and its value in ns."""
        if part == GRIPPER and self.max_gripper_skew_ns is not None:
            return 'max_gripper_skew_s', self.max_gripper_skew_ns
        return 'max_skew_s', self.max_skew_ns


class LiveObservationSlot:
    """Joins a real arm's newest images with the joint states nearest to them.

    An observation carries the stamp of its oldest image, because it is no younger than that. Has
    the methods of `ObservationSlot`, so that one desk serves both. Not thread-safe.
    """

    def __init__(
        self,
        robot: str,
        cameras: Sequence[str],
        settings: LiveSettings,
        clock: Callable[[], int],
        states: Sequence[str] = (JOINTS,),
    ) -> None:
        """Expect one image of each camera and one sample of each of `states` an observation.

        clock: returns the time that the stamps are compared with, ns.
        """
        self.policy_version = 0
        self._robot = robot
        self._cameras = tuple(cameras)
        self._settings = settings
        self._clock = clock
        self._parts: dict[str, deque[tuple[int, Any]]] = {
            name: deque(maxlen=_IMAGES if name in cameras else _JOINT_SAMPLES)
            for name in (*cameras, *states)
        }
        self.lead = DecisionLead(settings.lead_ns, settings.max_lead_ns)
        self._instruction = ''
        self._chunk_period_ns = 0
        self._chunk_index = 0
        self._settled_ns = -1
        self._not_before_ns = 0

    def expect_chunks(self, chunk_period_ns: int) -> None:
        """Take the duration of a chunk; nothing is pending before."""
        self._chunk_period_ns = chunk_period_ns

    def forget_answer(self) -> None:
        """Begin anew: no chunk is running."""
        self._chunk_index = 0
        self._not_before_ns = 0

    def instruct(self, instruction: str) -> None:
        """Take what the robot is asked to do, from the next decision on.

        Raises UserError for an empty instruction; the former one stays.
        """
        if not instruction.strip():
            raise UserError('task: the instruction is empty; say what the robot is to do')
        self._instruction = instruction

    def add(self, name: str, stamp_ns: int, payload: Any) -> None:
        """Take one part; one that is a little older than the newest of its name is left out.

        Raises UserError for a stamp of zero, which no clock of a running driver gives.
        """
        if not stamp_ns:
            raise UserError(f'{name}: the stamp is zero; its driver must stamp what it measures')
        samples = self._parts[name]
        back_ns = samples[-1][0] - stamp_ns if samples else 0
        if 0 < back_ns <= _LARGEST_DISORDER_NS:
            return
        if back_ns > 0:
            # The clock was set back, or a bag began anew: nothing from before belongs to now.
            for kept in self._parts.values():
                kept.clear()
            self._settled_ns = -1
            self._not_before_ns = 0
        samples.append((stamp_ns, payload))
        if name in self._cameras and all(self._parts[camera] for camera in self._cameras):
            self.lead.observed(self._reference())

    def pending(self) -> PendingObservation | None:
        """Return the observation that is to be answered now, if there is one."""
        if self.waiting_for():
            return None
        joined = self._joined()
        stamp = self._reference()
        if stamp <= self._settled_ns or stamp < self._not_before_ns:
            return None
        question = Question('', 0, self._chunk_index, stamp, self.policy_version)
        state = EpisodeState(
            self._robot,
            phase=EpisodePhase.RUNNING,
            temperature=self._settings.temperature,
            seed=self._settings.seed,
            policy_version=self.policy_version,
            instruction=self._instruction,
        )
        return PendingObservation(
            question, state, {name: payload for name, (_, payload) in joined.items()}
        )

    def waiting_for(self) -> str:
        """Return what keeps the newest observation from being used; empty if nothing does."""
        if not self._chunk_period_ns:
            return 'no policy is loaded'
        if not self._instruction:
            return 'no instruction; set the parameter instruction or publish on the topic task'
        missing = [name for name, samples in self._parts.items() if not samples]
        if missing:
            return f'nothing received from {", ".join(missing)}'
        reference = self._reference()
        age = self._clock() - reference
        if age > self._settings.max_age_ns:
            oldest = min(self._cameras, key=lambda name: self._parts[name][-1][0])
            return (
                f'newest image of {oldest} is {age / _MILLISECONDS:.0f} ms old, max_age_s='
                f'{self._settings.max_age_ns / NANOSECONDS:g}'
            )
        for name, (stamp, _) in self._joined().items():
            skew = abs(stamp - reference)
            parameter, limit_ns = self._settings.skew_limit(name)
            if skew > limit_ns:
                return (
                    f'{name} is {skew / _MILLISECONDS:.0f} ms apart from the oldest image, '
                    f'{parameter}={limit_ns / NANOSECONDS:g}'
                )
        return ''

    def repeated(self, question: Question) -> Answer | None:
        """Return nothing: on a real arm no observation is sent twice."""
        return None

    def settle(self, question: Question, answer: Answer | None) -> None:
        """Note that `question` was answered, or refused (None): it is pending no more."""
        self._settled_ns = max(self._settled_ns, question.stamp_ns)
        if answer is None:
            return
        self._chunk_index += 1
        self.lead.answered(question.stamp_ns, self._clock())
        if self._settings.trigger is Trigger.BEFORE_CHUNK_END:
            # The guard leaves out the actions that were over when the chunk came.
            end = question.stamp_ns + self._chunk_period_ns
            self._not_before_ns = end - self.lead.lead_ns

    def _reference(self) -> int:
        return min(self._parts[name][-1][0] for name in self._cameras)

    def _joined(self) -> dict[str, tuple[int, Any]]:
        """Return of each part the sample nearest to the oldest camera's newest image."""
        reference = self._reference()
        return {
            name: min(samples, key=lambda sample: abs(sample[0] - reference))
            for name, samples in self._parts.items()
        }
