"""Which joint samples belong to which episode, when the two come on different topics."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from smoothvla_ros.control.lock_step import EpisodeState, Phase

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


Event = Begun | Sample | Closed


class EpisodeSamples:
    """Sorts one robot's samples; an episode closes only after its last sample was seen.

    If that never comes, it closes when the next one begins, with what is missing.
    """

    def __init__(self) -> None:
        self._state: EpisodeState | None = None
        self._seen = 0
        self._newest = 0
        self._early: deque[tuple[int, Any]] = deque(maxlen=_EARLY)

    def announce(self, state: EpisodeState) -> list[Event]:
        """Take the robot's episode state and return what follows from it."""
        known = self._state
        if known is not None and (state.episode_id, state.attempt) == (
            known.episode_id,
            known.attempt,
        ):
            return self._update(state)
        events: list[Event] = []
        if known is not None and known.phase is Phase.FINISHED:
            events.append(self._close(known))
        self._state = None
        if state.phase is Phase.RUNNING and state.first_stamp_ns > 0:
            self._state, self._seen, self._newest = state, 0, 0
            events.append(Begun(state))
            early, self._early = self._early, deque(maxlen=_EARLY)
            for stamp, payload in early:
                if stamp >= state.first_stamp_ns:
                    events += self.add(stamp, payload)
        return events

    def add(self, stamp_ns: int, payload: Any) -> list[Event]:
        """Take one sample and return what follows from it."""
        state = self._state
        if state is None:
            self._early.append((stamp_ns, payload))
            return [Sample(None, stamp_ns, payload)]
        if stamp_ns < state.first_stamp_ns or stamp_ns <= self._newest:
            return []
        if state.last_stamp_ns and stamp_ns > state.last_stamp_ns:
            self._early.append((stamp_ns, payload))
            return []
        self._seen += 1
        self._newest = stamp_ns
        return [Sample(state, stamp_ns, payload), *self._close_if_over()]

    def _update(self, state: EpisodeState) -> list[Event]:
        if state.phase is Phase.ABORTED:
            self._state = None
            return []
        if state.phase is Phase.FINISHED:
            self._state = state
            return self._close_if_over()
        return []

    def _close_if_over(self) -> list[Event]:
        state = self._state
        if state is None or state.phase is not Phase.FINISHED:
            return []
        if self._newest < state.last_stamp_ns:
            return []
        self._state = None
        return [self._close(state)]

    def _close(self, state: EpisodeState) -> Closed:
        return Closed(state, missing=max(0, state.samples - self._seen))
