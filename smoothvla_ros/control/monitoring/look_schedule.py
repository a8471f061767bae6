"""When a monitor looks at the queue of which robot."""

from __future__ import annotations

from dataclasses import dataclass, field

# From one look to the next, at least, and where nothing came: a late sample waits no longer.
_SHORTEST_S, _SILENT_S = 0.00125, 0.0025
# Of what a queue holds, the share that may fill between two looks.
_QUEUE_SHARE = 0.25


@dataclass
class LookSchedule:
    """Looks when samples are due that complete an estimate; what comes before them can wait.

    robots: how many.  shortest_s, longest_s: from one look at a robot to the next, s.
    silent_s: the same where no sample came: nothing is due of a stream that stopped, and one that
    is late should not wait long.
    """

    robots: int
    shortest_s: float
    silent_s: float
    longest_s: float
    _due_s: list[float] = field(init=False)

    @classmethod
    def of_queues(cls, robots: int, period_s: float, depth: int, longest_s: float) -> LookSchedule:
        """Return when to look at queues of `depth` samples, one a robot, `period_s` apart.

        longest_s: from one look to the next, where no queue fills up sooner, s.
        """
        return cls(
            robots,
            _SHORTEST_S,
            max(_SILENT_S, period_s),
            min(longest_s, _QUEUE_SHARE * depth * period_s),
        )

    def __post_init__(self) -> None:
        self._due_s = [0.0] * self.robots

    def wait_s(self, now_s: float) -> float:
        """Return the time until somebody is due, s; 0 where somebody is."""
        return max(0.0, min(self._due_s) - now_s)

    def due(self, now_s: float) -> list[int]:
        """Return the robots to be looked at now, by number.

        Those who are due soon are among them: a look costs less than to wake up for it.
        """
        return [
            robot for robot, due_s in enumerate(self._due_s) if due_s <= now_s + self.shortest_s
        ]

    def looked(self, robot: int, now_s: float, until_news_s: float | None) -> None:
        """Note a look.

        until_news_s: from the newest sample to the one that completes an estimate, s; None where
        no sample came.
        """
        wait_s = self.silent_s if until_news_s is None else max(until_news_s, self.shortest_s)
        self._due_s[robot] = now_s + min(wait_s, self.longest_s)
