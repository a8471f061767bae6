"""What group standardisation leaves of a smoothness penalty, on rollouts that were sampled."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from smoothvla_ros.evaluation.episodes.episode_table import EpisodeRow
from smoothvla_ros.records import Trajectory
from smoothvla_ros.training.rewards.advantages import group_normalised
from smoothvla_ros.training.rewards.functions import RewardSettings, smooth
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome, TaskReference

FIRST_ITERATION = 'first_iteration'
"""The column `policy` of the rollouts that a cell's training sampled first."""

PENALTIES = (0.05, 0.2, 0.5, 1.0)


def erasing(rows: Iterable[EpisodeRow]) -> list[dict[str, Any]]:
    """Give the same groups the reward of eq. 5 with several lambda; one result each.

    rows: rollouts of one policy; those of one scene and seed are a group.
    all_success, mixed: the greatest change of an advantage against the smallest lambda, in groups
    where all succeed and in others; None without any.  successes_without_reward: share of the
    successes that earn no more than a failure.  Empty without a group.
    """
    groups = _groups(rows)
    if not groups:
        return []
    found = []
    for penalty in PENALTIES:
        changes: dict[bool, list[float]] = {True: [], False: []}
        unpaid: list[bool] = []
        for group in groups:
            advantages, rewards = _advantages(group, penalty)
            weakest, _ = _advantages(group, PENALTIES[0])
            everywhere = bool(group.success.all())
            changes[everywhere].append(float(np.abs(advantages - weakest).max()))
            unpaid += (rewards[group.success] <= 0.0).tolist()
        found.append(
            {
                'lambda': penalty,
                'all_success': max(changes[True], default=None),
                'mixed': max(changes[False], default=None),
                'groups': {'all_success': len(changes[True]), 'mixed': len(changes[False])},
                'successes_without_reward': float(np.mean(unpaid)) if unpaid else None,
            }
        )
    return found


def _advantages(group: GroupOutcome, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    settings = dataclasses.replace(RewardSettings(), jerk_penalty=penalty)
    rewards = smooth(group, settings).rewards
    return group_normalised(rewards), rewards


def _groups(rows: Iterable[EpisodeRow]) -> list[GroupOutcome]:
    """Return the groups with a success, judged in units of their task's mean jerk."""
    members: dict[tuple[Any, ...], list[EpisodeRow]] = defaultdict(list)
    for row in rows:
        # Shorter than the estimator's window: without a jerk there is nothing to penalise.
        if math.isfinite(row.jerk):
            members[row.seed, row.name].append(row)
    of_task: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for (seed, name), group in members.items():
        of_task[seed, name.suite, name.task] += [row.jerk for row in group if row.success]
    return [
        _outcome(group, of_task[seed, name.suite, name.task])
        for (seed, name), group in sorted(members.items())
        if len(group) > 1 and any(row.success for row in group)
    ]


def _outcome(rows: Sequence[EpisodeRow], jerks: Sequence[float]) -> GroupOutcome:
    rollouts = []
    for row in rows:
        nothing = np.zeros(row.steps)  # the reward of eq. 5 looks at the mean alone
        at_rest = Trajectory.at_rest(row.steps)
        rollouts.append(
            RolloutOutcome(row.success, row.jerk, nothing, nothing, nothing, (row.steps,), at_rest)
        )
    # Of angular jerk eq. 5 knows nothing.
    reference = TaskReference(float(np.mean(jerks)), math.nan, rows[0].steps, len(jerks))
    return GroupOutcome(tuple(rollouts), reference)
