"""How many substeps are due: simulated time against a clock that runs at a speed of its own."""

from __future__ import annotations

# A twin that is later than this gives the time up instead of hurrying after it. Its joint states
# are then younger than what a guard takes for silence (`joint_states_timeout_s`), also at the end
# of the substeps that it takes in one go, which on a slow machine last longer than they are.
_LARGEST_LAG_S = 0.04
_AT_ONCE_S = 0.01


class Pacer:
    """Counts the substeps that are due at a speed, in simulated seconds a second.

    Where the machine cannot hold the speed, time slips: what was missed is not made up for.
    """

    def __init__(self, speed: float, substep_s: float, now_s: float) -> None:
        """now_s: of a clock that does not go back, in s, as for every later call."""
        self._speed = speed
        self._substep_s = substep_s
        self._origin_s = now_s
        self._taken = 0
        self.slipped_s = 0.0

    def due(self, now_s: float) -> int:
        """Return how many substeps are to be taken now; ask again for what is left."""
        due = int((now_s - self._origin_s) * self._speed / self._substep_s) - self._taken
        largest = self._substeps(_LARGEST_LAG_S)
        if due > largest:
            lost_s = (due - largest) * self._substep_s / self._speed
            self._origin_s += lost_s
            self.slipped_s += lost_s
            due = largest
        due = min(max(due, 0), self._substeps(_AT_ONCE_S))
        self._taken += due
        return due

    def seconds_to_next(self, now_s: float) -> float:
        """Return how long until another substep is due; 0 if one is."""
        next_s = self._origin_s + (self._taken + 1) * self._substep_s / self._speed
        return max(0.0, next_s - now_s)

    def _substeps(self, seconds: float) -> int:
        return max(1, round(seconds * self._speed / self._substep_s))
