"""When which action of which chunk is executed, and where the joints are to be at any time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from smoothvla_ros.control.motion_guard.action_space import (
    ActionSpace,
    Knot,
    at_fraction,
    cubic,
)
from smoothvla_ros.libero import CONTROL_PERIOD_S


class Mode(StrEnum):
    """What becomes of a chunk that arrives while another one is executed."""

    WHOLE = 'whole'
    REPLACE = 'replace'


@dataclass(frozen=True)
class Span:
    """One action of a chunk in time; None is none: the motion comes to rest. start_s, dt: s."""

    start_s: float
    dt: float
    action: np.ndarray | None
    chunk: int
    before: Knot
    after: Knot

    @property
    def end_s(self) -> float:
        """When the action is over."""
        return self.start_s + self.dt

    @cached_property
    def joints(self) -> np.ndarray:
        """The `cubic` of the joints, [4, n]."""
        before, after = self.before, self.after
        return cubic(before.joints, before.velocities, after.joints, after.velocities, self.dt)


class ChunkSchedule:
    """Actions to be executed, and the knots of those that were looked at already.

    Knots are made when someone asks for their time, or part by part before that (`prepare`), so
    that the work of a chunk is spread over the ticks that it takes.
    """

    def __init__(self, space: ActionSpace, knot: Knot, time_s: float) -> None:
        """Begin at rest at `knot` at time_s."""
        self._space = space
        self._knot = knot
        self._time_s = time_s
        self._waiting: deque[tuple[np.ndarray, float, int]] = deque()
        self._spans: deque[Span] = deque()
        # Of the next knot, where that was begun.
        self._work: Generator[None, None, Knot] | None = None
        # Until the first chunk says how long its actions last.
        self._idle_dt = CONTROL_PERIOD_S
        self._chunk = 0
        self._commanded_until_s = time_s

    @property
    def commanded_until_s(self) -> float:
        """When the last action that is known is over."""
        return self._commanded_until_s

    def append(self, actions: np.ndarray, dt: float, time_s: float) -> None:
        """Execute actions [k, dimension] of dt seconds each once the present chunk is done.

        A chunk that was still waiting for its turn is dropped.  time_s: now; where nothing is left
        to do the actions begin then.
        """
        present = self._spans[-1].chunk if self._spans else self._chunk
        self._waiting = deque(entry for entry in self._waiting if entry[2] == present)
        if self._is_idle() or self._commanded_until_s < time_s:
            self._cut(max(time_s, self._commanded_until_s))
        self._add(actions, dt)

    def replace(self, actions: np.ndarray, dt: float, time_s: float, overlap: int) -> None:
        """Execute actions [k, dimension] from time_s on, in place of all that is known.

        overlap: so many actions are a mixture with those that they replace, the share of the new
        ones rising evenly.
        """
        replaced = [
            span.action
            for span in self._spans
            if span.end_s > time_s + 1e-9 and span.action is not None
        ] + [action for action, _, _ in self._waiting]
        mixed = np.array(actions, dtype=np.float64)
        for step in range(min(overlap, len(mixed), len(replaced))):
            share = (step + 1) / (overlap + 1)
            mixed[step] = share * mixed[step] + (1 - share) * replaced[step]
        self._cut(time_s)
        self._add(mixed, dt)

    def knot_at(self, time_s: float) -> Knot:
        """Return the knot at a time that is not before the last one forgotten.

        Raises Unreachable where an action that begins by then leads out of reach.
        """
        return self._between(self._span_at(time_s), time_s)

    def at(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return joints rad and velocities rad/s [n] at a time.  Raises as `knot_at`."""
        span = self._span_at(time_s)
        fraction = (time_s - span.start_s) / span.dt
        return at_fraction(span.joints, min(max(fraction, 0.0), 1.0), span.dt)

    def action_at(self, time_s: float) -> np.ndarray | None:
        """Return the action [dimension] that is executed at a time; None: none.  Raises as `at`."""
        span = self._span_at(time_s)
        # Before the first action the motion is at its beginning, but nothing is executed yet.
        return span.action if span.start_s <= time_s else None

    def prepare(self, time_s: float) -> None:
        """Do one part of what `at` would have to do at a time of an action from now.

        Raises Unreachable as soon as it is known.
        """
        if self._time_s <= time_s + self._idle_dt:
            self._advance()

    def forget(self, time_s: float) -> None:
        """Let go of what was over before time_s."""
        while len(self._spans) > 1 and self._spans[0].end_s < time_s:
            self._spans.popleft()

    def _add(self, actions: np.ndarray, dt: float) -> None:
        self._chunk += 1
        self._work = None
        self._waiting.extend((action, dt, self._chunk) for action in actions)
        self._idle_dt = dt
        self._commanded_until_s = self._time_s + sum(step for _, step, _ in self._waiting)

    def _is_idle(self) -> bool:
        return not self._waiting and bool(self._spans) and self._spans[-1].action is None

    def _cut(self, time_s: float) -> None:
        """Drop everything from time_s on; the motion until then is kept."""
        self._waiting.clear()
        self._work = None
        span = self._span_at(time_s)
        knot = self._between(span, time_s)
        while self._spans and self._spans[-1].end_s > time_s:
            self._spans.pop()
        if time_s > span.start_s:
            self._spans.append(
                Span(
                    span.start_s, time_s - span.start_s, span.action, span.chunk, span.before, knot
                )
            )
        self._knot, self._time_s = knot, time_s
        self._commanded_until_s = time_s

    def _between(self, span: Span, time_s: float) -> Knot:
        fraction = (time_s - span.start_s) / span.dt
        if fraction >= 1.0:
            return span.after
        return self._space.between(span.before, span.after, max(fraction, 0.0), span.dt)

    def _span_at(self, time_s: float) -> Span:
        while self._time_s <= time_s or not self._spans:
            self._advance()
        for span in reversed(self._spans):
            if span.start_s <= time_s:
                return span
        return self._spans[0]

    def _advance(self) -> None:
        """Do one part of the next knot; with the last one comes its span."""
        nothing = None, self._idle_dt, self._chunk
        action, dt, chunk = self._waiting[0] if self._waiting else nothing
        work = self._work or self._space.after(self._knot, action, dt)
        # One that fails is begun anew by whoever asks again.
        self._work = None
        try:
            next(work)
        except StopIteration as done:
            after: Knot = done.value
        else:
            self._work = work
            return
        if self._waiting:
            self._waiting.popleft()
        self._spans.append(Span(self._time_s, dt, action, chunk, self._knot, after))
        self._knot, self._time_s = after, self._time_s + dt
