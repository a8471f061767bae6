"""Episodes of a real arm: what lies between arming and disarming, and what became of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import seconds_and_rest

SUCCESS, FAILURE, DISCARD = 'success', 'failure', 'discard'
OUTCOMES = (SUCCESS, FAILURE, DISCARD)
_REMEMBERED = 1000


@dataclass(frozen=True)
class ArmEpisode:
    """One episode.

    first_ns, last_ns: while chunks were executed.  outcome: of `OUTCOMES`, empty if not labelled.
    """

    episode_id: str
    first_ns: int
    last_ns: int
    outcome: str = ''


class EpisodeKeeper:
    """Follows the guard of one robot, and remembers its last thousand episodes for labels.

    An episode begins with the first chunk that is executed and ends where the guard lets go of the
    arm, by request or by a fault. A pause between two chunks does not end it.
    """

    def __init__(self, robot: str) -> None:
        """robot: its name, which the episodes' names begin with."""
        self._robot = robot
        self._first_ns: int | None = None
        self._rests_since_ns: int | None = None
        self._ended: OrderedDict[str, ArmEpisode] = OrderedDict()

    def guard_is(self, phase: GuardPhase, stamp_ns: int) -> ArmEpisode | None:
        """Take a state of the guard; return the episode that it ends, if any."""
        if phase is GuardPhase.RUNNING:
            self._rests_since_ns = None
            if self._first_ns is None:
                self._first_ns = stamp_ns
            return None
        if self._first_ns is None:
            return None
        if self._rests_since_ns is None:
            self._rests_since_ns = stamp_ns
        if phase not in (GuardPhase.DISARMED, GuardPhase.FAULTED):
            return None
        episode = ArmEpisode(self._name(self._first_ns), self._first_ns, self._rests_since_ns)
        self._first_ns = self._rests_since_ns = None
        self._remember(episode)
        return episode

    def label(self, outcome: str, episode_id: str = '') -> ArmEpisode:
        """Return an episode, the last one if none is named, with its new label.

        Raises UserError for a label that does not exist and for an episode that has not ended.
        """
        if outcome not in OUTCOMES:
            raise UserError(f'outcome {outcome!r} is unknown; choose from {", ".join(OUTCOMES)}')
        if not self._ended:
            raise UserError(
                'no episode has ended yet: one ends when the motion guard is disarmed or faults'
            )
        name = episode_id or self._last
        if name not in self._ended:
            raise UserError(f'no episode {name!r} has ended; the last is {self._last}')
        episode = replace(self._ended[name], outcome=outcome)
        self._ended[name] = episode
        return episode

    @property
    def _last(self) -> str:
        return next(reversed(self._ended))

    def _remember(self, episode: ArmEpisode) -> None:
        self._ended[episode.episode_id] = episode
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)

    def _name(self, stamp_ns: int) -> str:
        seconds, rest = seconds_and_rest(stamp_ns)
        begun = datetime.fromtimestamp(seconds, UTC)
        return f'{self._robot}-{begun:%Y-%m-%dT%H-%M-%S}.{rest // 1_000_000:03d}'
