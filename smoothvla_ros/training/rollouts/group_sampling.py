"""Whole groups out of a rollout source: every rollout of a group, or none of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.training.rollouts.schedule import GroupPlan
from smoothvla_ros.training.rollouts.source import RolloutSource

OnEpisode = Callable[[Episode], None]


@dataclass(frozen=True)
class CollectedGroup:
    """A complete group; `episodes` are in order of their ids."""

    plan: GroupPlan
    episodes: tuple[Episode, ...]


def collect_episodes(
    source: RolloutSource,
    requests: Sequence[EpisodeRequest],
    attempts: int,
    on_episode: OnEpisode,
) -> dict[str, Episode]:
    """Ask for episodes, and again for the lost ones, at most `attempts` times.

    Returns the episodes that came, by id. An answer that was not asked for, or was there already,
    is ignored.
    """
    wanted = {request.episode_id: request for request in requests}
    episodes: dict[str, Episode] = {}
    for attempt in range(attempts):
        missing = [
            replace(request, attempt=attempt)
            for episode_id, request in wanted.items()
            if episode_id not in episodes
        ]
        if not missing:
            break
        for episode in source.collect(missing):
            episode_id = episode.request.episode_id
            if episode_id in wanted and episode_id not in episodes:
                episodes[episode_id] = episode
                on_episode(episode)
    return episodes


def collect_groups(
    source: RolloutSource, plans: Sequence[GroupPlan], attempts: int, on_episode: OnEpisode
) -> list[CollectedGroup]:
    """Return the groups of which every rollout came, in the order of `plans`."""
    requests = [request for plan in plans for request in plan.requests]
    episodes = collect_episodes(source, requests, attempts, on_episode)
    complete = []
    for plan in plans:
        ids = sorted(request.episode_id for request in plan.requests)
        if all(episode_id in episodes for episode_id in ids):
            members = tuple(episodes[episode_id] for episode_id in ids)
            complete.append(CollectedGroup(plan, members))
    return complete
