"""Greedy episodes between iterations, on scenes that may be learned from: how a training goes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.splits import Split, episode_names, require_train
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.progress import Phase, Report, TrainStatus
from smoothvla_ros.training.rewards.outcomes import RolloutOutcome
from smoothvla_ros.training.rollout_progress import (
    MeasureEpisode,
    jerk_of_successes,
    success_share,
)
from smoothvla_ros.training.rollouts.group_sampling import collect_episodes
from smoothvla_ros.training.rollouts.source import RolloutSource, reasons

SUCCESS, JERK = 'greedy_success', 'greedy_jerk'

log = logging.getLogger(__name__)


def measure_on_train_scenes(
    config: TrainConfig,
    iteration: int,
    source: RolloutSource,
    measure: MeasureEpisode,
    report: Report,
) -> tuple[dict[str, float], dict[int, dict[str, float]]]:
    """Return greedy success and jerk in m/s^3 after an iteration, of all tasks and of each.

    source: must already serve the policy of that version.  NaN where every episode was lost.
    The scenes are the same each time, and held-out ones are left to the evaluations before and
    after: whoever chooses a checkpoint by what is measured here has learned from it.
    """
    requests = _requests(config, iteration)
    outcomes: dict[str, RolloutOutcome] = {}
    status = TrainStatus(
        Phase.EVALUATE, iteration, config.iterations, episodes_planned=len(requests)
    )
    report(status)

    def keep(episode: Episode) -> None:
        outcomes[episode.request.episode_id] = measure(episode)
        done = list(outcomes.values())
        report(
            replace(
                status,
                episodes_done=len(done),
                success=success_share(done),
                jerk=jerk_of_successes(done),
            )
        )

    collect_episodes(source, requests, config.attempts, keep)
    lost = len(requests) - len(outcomes)
    if lost:
        log.warning(
            'after iteration %d: %d of %d greedy episodes are lost: %s',
            iteration,
            lost,
            len(requests),
            reasons(source.lost()),
        )
    by_task = {
        task: _figures([request for request in requests if request.name.task == task], outcomes)
        for task in config.task_indices
    }
    return _figures(requests, outcomes), by_task


def _requests(config: TrainConfig, iteration: int) -> list[EpisodeRequest]:
    requests = []
    for task in config.task_indices:
        names = episode_names(
            config.suite, task, Split.TRAIN, config.train_episodes, config.evaluation_seed
        )
        for index, name in enumerate(names):
            require_train(name)
            requests.append(
                EpisodeRequest(
                    episode_id=f'greedy-i{iteration:04d}-task{task:02d}-{index:04d}',
                    name=name,
                    group=-1,
                    temperature=0.0,
                    seed=config.evaluation_seed,
                    policy_version=iteration,
                )
            )
    return requests


def _figures(
    requests: Sequence[EpisodeRequest], outcomes: Mapping[str, RolloutOutcome]
) -> dict[str, Any]:
    """Sum up, in the order of the requests, whatever order the episodes came in."""
    found = [outcomes[r.episode_id] for r in requests if r.episode_id in outcomes]
    return {SUCCESS: success_share(found), JERK: jerk_of_successes(found)}
