"""The scripted expert in the place of a policy: what a policy's motion is measured against."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.expert.playing import play
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.environment_cache import EnvironmentCache
from smoothvla_ros.simulation.workers.memory import keep_allocator_lean
from smoothvla_ros.simulation.workers.owned_processes import finished_work
from smoothvla_ros.simulation.workers.owner import end_with_owner
from smoothvla_ros.simulation.workers.robot_count import MEMORY_LIMIT_MB
from smoothvla_ros.training.rollouts.source import LostEpisode


class ExpertRolloutSource:
    """A `RolloutSource` whose episodes the expert plays, without noise and without being recorded.

    It may see held-out scenes, because nothing learns from it: no demonstration is written.
    """

    def __init__(self, processes: int) -> None:
        """processes: that play side by side."""
        self._processes = processes

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """The expert has no weights: every version is answered alike."""

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield each episode as it finishes.

        Raises UserError if a process dies or the expert has no skill for a task.
        """
        by_task = sorted(requests, key=lambda request: request.name.task)
        yield from finished_work(_play, by_task, self._processes, _start)

    def lost(self) -> Sequence[LostEpisode]:
        """Nothing is ever given up here: an episode comes, or an error does."""
        return ()

    def close(self) -> None:
        """Nothing outlives `collect`."""


_cache: EnvironmentCache | None = None


def _start() -> None:
    """Prepare a process; it keeps its environments from one episode to the next."""
    global _cache
    end_with_owner()
    keep_allocator_lean()
    _cache = EnvironmentCache(RenderSettings(), MEMORY_LIMIT_MB)


def _play(request: EpisodeRequest) -> Episode:
    assert _cache is not None
    environment = _cache.get(request.name.suite, request.name.task)
    success = play(environment, request.name, request.horizon)
    return Episode(request, success, environment.trajectory(), [])
