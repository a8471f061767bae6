"""Which joint samples belong to which episode, when the two come on different topics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from smoothvla_ros.control.lock_step.protocol import EpisodePhase, EpisodeState

# Samples that may come before their episode is announced.
_EARLY = 512


@dataclass(frozen=True)
class Begun:
    """A new episode: forget the one before."""

    state: EpisodeState


@dataclass(frozen=True)
class Sample:
    """A sample of the running episode, or of no episode at all (`state` None)."""

    state: EpisodeState | None
    stamp_ns: int
    payload: Any


@dataclass(frozen=True)
class Closed:
    """An episode is over; its numbers count only if no sample is missing."""

    state: EpisodeState
    missing: int


SampleEvent = Begun | Sample | Closed


class EpisodeSamples:
    """Sorts one robot's samples; an episode closes only after its last sample was seen.

    Announcements may overtake samples. So the next episode begins only when the one before is
    closed, or when a sample of the next one shows that the rest will not come.
    """

    def __init__(self) -> None:
        self._state: EpisodeState | None = None
        self._seen = 0
        self._newest = 0
        self._early: deque[tuple[int, Any]] = deque(maxlen=_EARLY)
        self._next: deque[EpisodeState] = deque()

    def announce(self, state: EpisodeState) -> list[SampleEvent]:
        """Take the robot's episode state and return what follows from it."""
        self._next.append(state)
        return self._advance()

    def add(self, stamp_ns: int, payload: Any) -> list[SampleEvent]:
        """Take one sample and return what follows from it."""
        state = self._state
        if state is None:
            self._early.append((stamp_ns, payload))
            return [Sample(None, stamp_ns, payload)]
        if stamp_ns < state.first_stamp_ns or stamp_ns <= self._newest:
            return []
        if state.last_stamp_ns and stamp_ns > state.last_stamp_ns:
            self._early.append((stamp_ns, payload))
            return [*self._close(), *self._advance()]
        self._seen += 1
        self._newest = stamp_ns
        events: list[SampleEvent] = [Sample(state, stamp_ns, payload)]
        if self._over():
            events += [*self._close(), *self._advance()]
        return events

    def _advance(self) -> list[SampleEvent]:
        """Apply announcements in order, as far as the open episode allows."""
        events: list[SampleEvent] = []
        while self._next and (self._state is None or self._state.phase is EpisodePhase.RUNNING):
            events += self._apply(self._next.popleft())
        return events

    def _apply(self, state: EpisodeState) -> list[SampleEvent]:
        known = self._state
        if known is None or _identity(known) != _identity(state):
            self._state = None
            return self._begin(state) if state.phase is EpisodePhase.RUNNING else []
        if state.phase is EpisodePhase.ABORTED:
            self._state = None
        elif state.phase is EpisodePhase.FINISHED:
            self._state = state
            if self._over():
                return [*self._close()]
        return []

    def _begin(self, state: EpisodeState) -> list[SampleEvent]:
        self._state, self._seen, self._newest = state, 0, 0
        events: list[SampleEvent] = [Begun(state)]
        early, self._early = self._early, deque(maxlen=_EARLY)
        for stamp, payload in early:
            if stamp >= state.first_stamp_ns:
                events += self.add(stamp, payload)
        return events

    def _over(self) -> bool:
        state = self._state
        return (
            state is not None
            and state.phase is EpisodePhase.FINISHED
            and self._newest >= state.last_stamp_ns
        )

    def _close(self) -> list[SampleEvent]:
        state, self._state = self._state, None
        return [] if state is None else [Closed(state, max(0, state.samples - self._seen))]


def _identity(state: EpisodeState) -> tuple[str, int]:
    return state.episode_id, state.attempt
