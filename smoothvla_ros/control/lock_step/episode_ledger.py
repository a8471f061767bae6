"""The trainer's side of the protocol: which episode was asked of whom, and when it is complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.lock_step.protocol import Decision, EpisodeReport
from smoothvla_ros.records import ChunkRecord, Episode, EpisodeRequest


@dataclass(frozen=True)
class LedgerSettings:
    """How patient the trainer is, seconds of wall time."""

    request_attempts: int = setting(
        3, 'Give an episode up after asking for it this many times', minimum=1, maximum=100
    )
    episode_deadline_s: float = setting(
        180.0, 'Longest episode, s, reset included; then it is asked for again', minimum=0.1
    )
    resend_s: float = setting(
        2.0, 'Send a request again after this long without its result, s', minimum=0.01
    )
    completion_s: float = setting(
        5.0, "Wait this long after a result for the episode's missing chunks, s", minimum=0.01
    )
    record_rollouts: bool = setting(
        True, 'Expect the observations and tokens of every chunk, which only training needs'
    )

    def __post_init__(self) -> None:
        validate(self, 'rollouts')


@dataclass(eq=False)
class _Entry:
    request: EpisodeRequest
    attempt: int = 0
    robot: str = ''
    asked_at: float = 0.0
    sent_at: float = 0.0
    report: EpisodeReport | None = None
    reported_at: float = 0.0
    decisions: dict[tuple[int, int, int], Decision] = field(default_factory=dict)


def _task(entry: _Entry) -> tuple[str, int]:
    return entry.request.name.suite, entry.request.name.task


@dataclass(frozen=True)
class Assignment:
    """A request to send to a robot now; `request.attempt` is the attempt on the wire."""

    robot: str
    request: EpisodeRequest


class EpisodeLedger:
    """Hands requests to idle robots and takes each episode once, complete, or gives it up.

    first_attempt: attempts on the wire count from here. It must rise from one start of the trainer
    to the next, so that an answer to an earlier run is never taken.
    Every time is `now`, seconds on a clock that never goes back. Not thread-safe.
    """

    def __init__(
        self,
        requests: Sequence[EpisodeRequest],
        robots: Sequence[str],
        settings: LedgerSettings,
        first_attempt: int = 0,
    ) -> None:
        self._settings = settings
        self._first_attempt = first_attempt
        self._waiting = deque(_Entry(request) for request in requests)
        self._asked: dict[str, _Entry] = {}
        self._idle = deque(robots)
        self._loaded: dict[str, tuple[str, int]] = {}
        self._complete: deque[Episode] = deque()
        self.lost: list[tuple[EpisodeRequest, str]] = []

    @property
    def done(self) -> bool:
        """Whether every request is complete and taken, or lost."""
        return not (self._waiting or self._asked or self._complete)

    def assignments(self, now: float) -> list[Assignment]:
        """Return what to send now: requests for idle robots, and repeats of unanswered ones."""
        for entry in list(self._asked.values()):
            self._expire(entry, now)
        out = []
        while self._waiting and self._idle:
            entry = self._next_for(self._idle.popleft())
            entry.asked_at = entry.sent_at = now
            self._asked[entry.request.episode_id] = entry
            out.append(self._assignment(entry))
        for entry in self._asked.values():
            if entry.report is None and now - entry.sent_at >= self._settings.resend_s:
                entry.sent_at = now
                out.append(self._assignment(entry))
        return out

    def report(self, report: EpisodeReport, now: float) -> None:
        """Take a robot's result; one that was not asked for, or asked anew since, is ignored."""
        entry = self._asked.get(report.episode_id)
        if entry is None or report.attempt != self._wire_attempt(entry) or entry.report is not None:
            return
        if report.failure:
            self._retry(entry, f'{report.robot}: {report.failure}')
        elif report.policy_version != entry.request.policy_version:
            self._retry(
                entry,
                f'{report.robot} answered with policy version {report.policy_version}, '
                f'not {entry.request.policy_version}',
            )
        else:
            entry.report, entry.reported_at = report, now
            self._idle.append(entry.robot)
            self._finish(entry)

    def decide(self, decision: Decision) -> None:
        """Take one chunk's observation and tokens, in any order with the result."""
        entry = self._asked.get(decision.question.episode_id)
        question = decision.question
        if entry is None or question.attempt != self._wire_attempt(entry):
            return
        entry.decisions[question.chunk_index, question.stamp_ns, decision.epoch] = decision
        if entry.report is not None:
            self._finish(entry)

    def take(self) -> Episode | None:
        """Return a complete episode that was not taken yet."""
        return self._complete.popleft() if self._complete else None

    def _next_for(self, robot: str) -> _Entry:
        """Choose an episode of the task that the robot has loaded, or else the first."""
        entry = next(
            (e for e in self._waiting if _task(e) == self._loaded.get(robot)), self._waiting[0]
        )
        self._waiting.remove(entry)
        self._loaded[robot] = _task(entry)
        entry.robot = robot
        return entry

    def _assignment(self, entry: _Entry) -> Assignment:
        return Assignment(entry.robot, replace(entry.request, attempt=self._wire_attempt(entry)))

    def _wire_attempt(self, entry: _Entry) -> int:
        return self._first_attempt + entry.attempt

    def _expire(self, entry: _Entry, now: float) -> None:
        """Ask again for an episode that is late as a whole, or whose chunks do not come."""
        if entry.report is not None:
            if now - entry.reported_at >= self._settings.completion_s:
                missing = len(entry.report.chunks) - len(self._executed(entry))
                self._retry(
                    entry,
                    f'{missing} of {len(entry.report.chunks)} chunks of {entry.robot} '
                    'never reached the trainer',
                )
        elif now - entry.asked_at >= self._settings.episode_deadline_s:
            self._retry(
                entry,
                f'{entry.robot} did not finish within {self._settings.episode_deadline_s:g} s',
            )

    def _retry(self, entry: _Entry, reason: str) -> None:
        del self._asked[entry.request.episode_id]
        if entry.report is None:
            self._idle.append(entry.robot)
        if entry.attempt + 1 >= self._settings.request_attempts:
            self.lost.append((entry.request, reason))
        else:
            self._waiting.appendleft(_Entry(entry.request, entry.attempt + 1))

    def _executed(self, entry: _Entry) -> list[ChunkRecord]:
        """Return the chunks that are there, of those that the robot says it executed."""
        if entry.report is None:
            return []
        records = []
        for index, chunk in enumerate(entry.report.chunks):
            decision = entry.decisions.get((index, chunk.stamp_ns, chunk.epoch))
            if decision is not None:
                records.append(
                    ChunkRecord(
                        decision.observation, decision.tokens, decision.log_probs, chunk.executed
                    )
                )
        return records

    def _finish(self, entry: _Entry) -> None:
        report = entry.report
        if report is None or report.trajectory is None:
            return
        chunks = self._executed(entry) if self._settings.record_rollouts else []
        if self._settings.record_rollouts and len(chunks) != len(report.chunks):
            return
        del self._asked[entry.request.episode_id]
        self._complete.append(Episode(entry.request, report.success, report.trajectory, chunks))
