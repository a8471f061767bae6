"""The actors of a run on a Ray cluster: who is ready, who has what under way, who was lost."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.training.rollouts.ray_actors import read_files
from smoothvla_ros.training.rollouts.source import LostEpisode
from smoothvla_ros.training.rollouts.waiting_requests import Task, WaitingRequests, task_of

log = logging.getLogger(__name__)

MakeActor = Callable[[], Any]


@dataclass(frozen=True)
class Interrupted:
    """An episode that did not end because an actor was lost."""

    request: EpisodeRequest
    reason: str


@dataclass(eq=False)
class _Member:
    """An actor.

    loads: whether it has a policy.  starts: how often one was started in this place since the last
    that worked.  idle: its robots without an episode.  tasks: what each of its robots has loaded.
    """

    handle: Any
    loads: bool
    starts: int = 1
    ready: bool = False
    idle: list[int] = field(default_factory=list)
    tasks: dict[int, Task] = field(default_factory=dict)


@dataclass(eq=False)
class _Start:
    """An actor that gets ready for an announced policy."""

    member: _Member
    announcement: int


@dataclass(eq=False)
class _Run:
    """An episode under way; `thinker` decides for it, None if its own actor does."""

    member: _Member
    robot: int
    request: EpisodeRequest
    thinker: _Member | None


class RayFleet:
    """Rollout actors of some robots each, and actors that decide for them, if there are any."""

    def __init__(
        self,
        ray: ModuleType,
        make_player: MakeActor,
        players: int,
        robots: int,
        make_thinker: MakeActor,
        thinkers: int,
        attempts: int,
        start_timeout_s: float,
    ) -> None:
        """Start the actors.

        robots: of each player.  attempts: how many may be lost in one place without any work done.
        """
        self._ray = ray
        self._make_player, self._make_thinker = make_player, make_thinker
        self._robots, self._attempts = robots, attempts
        self._start_timeout_s = start_timeout_s
        self._policy: tuple[Any, ...] = ()
        self._announcement = 0
        self._pending: dict[Any, _Start | _Run] = {}
        self._turns = itertools.count()
        self._thinkers = [_Member(make_thinker(), True) for _ in range(thinkers)]
        self._players = [self._player() for _ in range(players)]

    @property
    def busy(self) -> bool:
        """Whether an episode is under way."""
        return any(isinstance(pending, _Run) for pending in self._pending.values())

    @property
    def ready(self) -> bool:
        """Whether anyone can play, with someone to decide."""
        deciding = any(m.ready for m in self._thinkers) if self._thinkers else True
        return deciding and any(m.ready for m in self._players)

    def announce(self, version: int, folder: Path, sha256: str) -> None:
        """Send a policy to all who decide.  They work again when they have loaded it."""
        self._announcement += 1
        self._policy = (version, sha256, self._ray.put(read_files(folder)))
        for member in (*self._thinkers, *self._players):
            self._prepare(member)

    def hand_out(self, waiting: WaitingRequests) -> None:
        """Give every idle robot an episode, if someone is ready to decide for it."""
        thinkers = [member for member in self._thinkers if member.ready]
        if self._thinkers and not thinkers:
            return
        for member in self._players:
            while member.ready and member.idle:
                robot = member.idle[-1]
                request = waiting.take(member.tasks.get(robot))
                if request is None:
                    return
                member.idle.pop()
                member.tasks[robot] = task_of(request)
                thinker = thinkers[next(self._turns) % len(thinkers)] if thinkers else None
                decides = thinker.handle if thinker is not None else None
                answer = member.handle.run.remote(robot, request, decides)
                self._pending[answer] = _Run(member, robot, request, thinker)

    def next(self) -> Episode | LostEpisode | Interrupted | None:
        """Wait until something happens; return what became of an episode, None if it was no such.

        Raises UserError if only the start of actors is waited for and it takes too long, if too
        many were lost, or as an actor raised it.
        """
        ray = self._ray
        timeout_s = None if self.busy else self._start_timeout_s
        done, _ = ray.wait(list(self._pending), timeout=timeout_s)
        if not done:
            raise UserError(
                f'ray: {len(self._pending)} actors did not start within {timeout_s:g} s; `ray '
                'status` tells what they wait for; ask for fewer actors or robots'
            )
        (answer,) = done
        subject = self._pending.pop(answer)
        if isinstance(subject, _Run):
            subject.member.idle.append(subject.robot)
        try:
            outcome: Episode | LostEpisode | None = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None
            lost_thinker = isinstance(error.cause, ray.exceptions.RayActorError)
            if not (lost_thinker and isinstance(subject, _Run) and subject.thinker):
                raise
            self._replace(subject.thinker, error.cause)
            return Interrupted(subject.request, 'its inference actor was lost')
        except ray.exceptions.RayError as error:
            self._replace(subject.member, error)
            if isinstance(subject, _Run):
                return Interrupted(subject.request, 'its rollout actor was lost')
            return None
        if isinstance(subject, _Run):
            for member in (subject.member, subject.thinker):
                if member is not None:
                    member.starts = 0
        elif subject.announcement == self._announcement:
            subject.member.ready = True
        return outcome

    def drain(self) -> None:
        """Wait until no episode is under way, whatever becomes of those that are."""
        while self.busy:
            try:
                self.next()
            except (UserError, self._ray.exceptions.RayTaskError) as error:
                log.warning('an episode that nobody waits for failed: %s', error)

    def close(self) -> None:
        """End all actors."""
        for member in (*self._thinkers, *self._players):
            self._ray.kill(member.handle)
        self._thinkers.clear()
        self._players.clear()

    def _player(self, starts: int = 1) -> _Member:
        idle = list(range(self._robots))
        return _Member(self._make_player(), not self._thinkers, starts, idle=idle)

    def _prepare(self, member: _Member) -> None:
        """Let an actor load the announced policy, if it loads any, and be ready then."""
        member.ready = False
        if member.loads:
            done = member.handle.update.remote(self._announcement, *self._policy)
        else:
            done = member.handle.begin.remote()
        self._pending[done] = _Start(member, self._announcement)

    def _replace(self, member: _Member, error: Exception) -> None:
        """Start another actor in the place of one that is gone, once.

        Raises UserError if too many were lost there, one after the other.
        """
        members = self._thinkers if member in self._thinkers else self._players
        if member not in members:
            return
        reason = (str(error).strip() or repr(error)).splitlines()[-1][:300]
        if member.starts >= self._attempts:
            raise UserError(
                f'ray: {member.starts} actors in a row were lost in one place ({reason}); look '
                "into its log, and at its machine's memory"
            )
        log.warning('an actor was lost and another is started in its place: %s', reason)
        self._ray.kill(member.handle)
        if members is self._thinkers:
            other = _Member(self._make_thinker(), True, member.starts + 1)
        else:
            other = self._player(member.starts + 1)
        members[members.index(member)] = other
        self._prepare(other)
