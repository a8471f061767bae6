"""The guard's states and what leads from one to another; docs/guard.md holds the table."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class GuardPhase(IntEnum):
    """What the guard does; the values are those of GuardState.msg."""

    DISARMED = 0
    ARMED = 1
    RUNNING = 2
    STOPPING = 3
    FAULTED = 4


class PhaseEvent(StrEnum):
    """What can happen to the guard."""

    ARM = 'arm'
    DISARM = 'disarm'
    CHUNK = 'chunk'
    PAUSE = 'pause'
    FAULT = 'fault'
    CLEAR = 'clear'
    AT_REST = 'at rest'


class PhaseMachine:
    """The present phase, and the one that a stop ends in.

    A stop can only end in a phase that is at least as careful as what was asked for: a fault during
    a stop makes it end in FAULTED, and nothing but CLEAR leaves FAULTED.
    """

    def __init__(self) -> None:
        self.phase = GuardPhase.DISARMED
        self._after_stop = GuardPhase.DISARMED

    @property
    def fault_latched(self) -> bool:
        """Whether nothing but CLEAR leads on."""
        return GuardPhase.FAULTED in (self.phase, self._after_stop if self._is_stopping else None)

    @property
    def takes_chunks(self) -> bool:
        """Whether a chunk may start or continue a motion."""
        return self.phase in (GuardPhase.ARMED, GuardPhase.RUNNING)

    def handle(self, event: PhaseEvent) -> bool:
        """Go where an event leads; return whether it leads anywhere from here."""
        if event is PhaseEvent.AT_REST and self._is_stopping:
            self.phase = self._after_stop
            return True
        if event is PhaseEvent.FAULT:
            return self._stop(GuardPhase.FAULTED)
        if event is PhaseEvent.DISARM and not self.fault_latched:
            return self._stop(GuardPhase.DISARMED)
        if event is PhaseEvent.PAUSE and self.phase is GuardPhase.RUNNING:
            return self._stop(GuardPhase.ARMED)
        following = {
            (PhaseEvent.ARM, GuardPhase.DISARMED): GuardPhase.ARMED,
            # Not ARMED: a policy that never stopped publishing would move the arm at once.
            (PhaseEvent.CLEAR, GuardPhase.FAULTED): GuardPhase.DISARMED,
            (PhaseEvent.CHUNK, GuardPhase.ARMED): GuardPhase.RUNNING,
            (PhaseEvent.CHUNK, GuardPhase.RUNNING): GuardPhase.RUNNING,
        }.get((event, self.phase))
        if following is None:
            return False
        self.phase = following
        return True

    @property
    def _is_stopping(self) -> bool:
        return self.phase is GuardPhase.STOPPING

    def _stop(self, after: GuardPhase) -> bool:
        """Stop what moves; what stands is where the stop would end."""
        if self.phase is GuardPhase.RUNNING:
            self.phase, self._after_stop = GuardPhase.STOPPING, after
        elif self._is_stopping:
            self._after_stop = after
        else:
            self.phase = after
        return True
