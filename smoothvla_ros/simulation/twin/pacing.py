"""How many substeps are due: simulated time against a clock that runs at a speed of its own."""

from __future__ import annotations

# A twin that is later than this gives the time up instead of hurrying after it.
_LARGEST_LAG_S = 0.1


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
        """Return how many substeps are due by now; they count as taken."""
        due = int((now_s - self._origin_s) * self._speed / self._substep_s) - self._taken
        largest = max(1, round(_LARGEST_LAG_S * self._speed / self._substep_s))
        if due > largest:
            lost_s = (due - largest) * self._substep_s / self._speed
            self._origin_s += lost_s
            self.slipped_s += lost_s
            due = largest
        due = max(due, 0)
        self._taken += due
        return due

    def seconds_to_next(self, now_s: float) -> float:
        """Return how long until another substep is due; 0 if one is."""
        next_s = self._origin_s + (self._taken + 1) * self._substep_s / self._speed
        return max(0.0, next_s - now_s)
