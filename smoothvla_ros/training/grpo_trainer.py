"""GRPO, iteration by iteration: sample groups, judge them, learn, remember."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.seeds import chunk_seed
from smoothvla_ros.records import Episode
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learning.chunk_batch import chunk_batch
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.progress import Phase, Report, TrainStatus, silent
from smoothvla_ros.training.rewards.checked import group_credit
from smoothvla_ros.training.rewards.functions import NEEDS_JERK, GroupCredit
from smoothvla_ros.training.rewards.jerk_reference import (
    JerkReference,
    Rollouts,
    measure_jerk_reference,
)
from smoothvla_ros.training.rewards.outcomes import GroupOutcome, RolloutOutcome
from smoothvla_ros.training.rollout_progress import (
    MeasureEpisode,
    RolloutProgress,
    jerk_of_successes,
    success_share,
)
from smoothvla_ros.training.rollouts.group_sampling import (
    CollectedGroup,
    collect_episodes,
    collect_groups,
)
from smoothvla_ros.training.rollouts.schedule import Plans
from smoothvla_ros.training.rollouts.source import RolloutSource, reasons

OnRollouts = Callable[[int, Sequence[Episode]], None]


@dataclass
class TrainerState:
    """What a run is, besides its weights: everything that a checkpoint must bring back.

    iteration: how many are finished.  history: the figures of each, in order.  task_history: those
    of each task in each iteration that played it.
    """

    iteration: int = 0
    reference: JerkReference | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    task_history: list[dict[str, Any]] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return {
            'iteration': self.iteration,
            'jerk_reference': self.reference.to_plain() if self.reference else None,
            'history': self.history,
            'task_history': self.task_history,
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> TrainerState:
        """Read back what `to_plain` returned."""
        reference = values['jerk_reference']
        return cls(
            iteration=values['iteration'],
            reference=JerkReference.from_plain(reference) if reference else None,
            history=list(values['history']),
            task_history=list(values.get('task_history', [])),
        )


@dataclass(frozen=True)
class JudgedGroup:
    """A complete group with the motion of its rollouts and what they earned."""

    group: CollectedGroup
    outcome: GroupOutcome
    credit: GroupCredit


class GrpoTrainer:
    """Advance a policy by one iteration at a time.

    Every draw follows from the seed and the iteration's number, so an iteration that was cut short
    is simply done again, with the same result.
    """

    def __init__(
        self,
        config: GrpoConfig,
        tasks: Sequence[int],
        schedule: Plans,
        source: RolloutSource,
        learner: GrpoLearner,
        measure: MeasureEpisode,
        state: TrainerState,
        estimator: EstimatorSettings,
        report: Report = silent,
        on_rollouts: OnRollouts | None = None,
    ) -> None:
        """Go on from `state`; `source` must already serve policy version `state.iteration`."""
        self._config = config
        self._tasks = tuple(tasks)
        self._schedule = schedule
        self._source = source
        self._learner = learner
        self._measure = measure
        self._state = state
        self._estimator = estimator
        self._report = report
        self._on_rollouts = on_rollouts
        self._status = TrainStatus(Phase.ROLLOUTS, state.iteration, config.iterations)

    def iterate(self) -> dict[str, Any]:
        """Do one iteration and return its figures, which are also added to the state's history.

        As are those of each task.
        Raises UserError if no group came back whole: the iteration can be done again.
        """
        config, iteration = self._config, self._state.iteration + 1
        started = time.monotonic()
        progress = RolloutProgress(self._measure, iteration, config, self._status, self._report)
        judged, kept, counts = self._sample(iteration, progress)
        sampled_at = time.monotonic()
        progress.enter(Phase.UPDATE)
        figures: dict[str, Any] = {'iteration': iteration, **_rollout_figures(judged), **counts}
        if kept:
            figures |= self._learn(iteration, kept)
        if self._on_rollouts is not None:
            self._on_rollouts(iteration, [e for item in judged for e in item.group.episodes])
        rollout_seconds = sampled_at - started
        figures |= {
            'rollout_seconds': rollout_seconds,
            'update_seconds': time.monotonic() - sampled_at,
            'episodes_per_minute': 60.0 * progress.done / rollout_seconds,
        }
        self._state.iteration = iteration
        self._state.history.append(figures)
        self._state.task_history += _task_figures(iteration, judged)
        self._status = progress.finish(figures)
        return figures

    def _sample(
        self, iteration: int, progress: RolloutProgress
    ) -> tuple[list[JudgedGroup], list[JudgedGroup], dict[str, int]]:
        """Collect the iteration's groups; replace those that are incomplete or teach nothing.

        Ends when enough groups teach something or the iteration's spare ones are used up.
        """
        config = self._config
        plans = self._schedule.groups(iteration)
        waiting, spare = plans[: config.groups], plans[config.groups :]
        judged: list[JudgedGroup] = []
        kept: list[JudgedGroup] = []
        incomplete = 0
        while waiting:
            progress.plan(sum(len(plan.requests) for plan in waiting))
            groups = collect_groups(self._source, waiting, config.attempts, progress.add)
            incomplete += len(waiting) - len(groups)
            if self._state.reference is None:
                self._state.reference = self._measure_reference(groups, progress)
            new = [self._judge(group, progress) for group in groups]
            judged += new
            kept += [item for item in new if item.credit.informative]
            needed = min(config.groups - len(kept), len(spare))
            waiting, spare = spare[:needed], spare[needed:]
        if not judged:
            raise UserError(
                f'iteration {iteration}: none of {incomplete} groups came back whole: '
                f'{reasons(self._source.lost()) or "nobody said why"}; put that right and start '
                'again, the run goes on with this iteration'
            )
        return (
            judged,
            kept,
            {
                'groups': len(judged),
                'groups_kept': len(kept),
                'groups_uninformative': len(judged) - len(kept),
                'groups_incomplete': incomplete,
            },
        )

    def _judge(self, group: CollectedGroup, progress: RolloutProgress) -> JudgedGroup:
        assert self._state.reference is not None
        outcome = GroupOutcome(
            tuple(progress.outcome(episode) for episode in group.episodes),
            self._state.reference.tasks[group.plan.name.task],
        )
        return JudgedGroup(group, outcome, group_credit(outcome, self._config))

    def _learn(self, iteration: int, groups: Sequence[JudgedGroup]) -> dict[str, Any]:
        """Update the policy on complete groups; return the figures of that."""
        config = self._config
        episodes = [episode for item in groups for episode in item.group.episodes]
        space = self._learner.policy.spec.action_space
        batch = chunk_batch(
            episodes,
            [advantages for item in groups for advantages in item.credit.by_part(space)],
            config.temperature,
        )
        seed = chunk_seed(config.seed, f'update-{iteration:04d}', 0)
        with _threads(config.threads):
            left = config.iterations - self._state.iteration
            return asdict(self._learner.update(batch, seed, left))

    def _measure_reference(
        self, groups: Sequence[CollectedGroup], progress: RolloutProgress
    ) -> JerkReference:
        """Measure J_ref on this first iteration's own rollouts, and more where they fall short."""

        def more(missing: Mapping[int, int]) -> Rollouts:
            requests = [
                request
                for task, count in missing.items()
                for request in self._schedule.reference_requests(task, count)
            ]
            progress.plan(len(requests))
            episodes = collect_episodes(self._source, requests, self._config.attempts, progress.add)
            return [
                (episodes[key].request.name.task, progress.outcome(episodes[key]))
                for key in sorted(episodes)
            ]

        rollouts = [
            (group.plan.name.task, progress.outcome(episode))
            for group in groups
            for episode in group.episodes
        ]
        return measure_jerk_reference(
            self._tasks,
            rollouts,
            more,
            self._config.reference_successes,
            self._estimator,
            lambda: reasons(self._source.lost()),
            # Measured for every reward: the files of a run and its episodes do not depend on it.
            required=self._config.reward in NEEDS_JERK,
        )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch use that many threads for a while: rollouts and update want different numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rollout_figures(judged: Sequence[JudgedGroup]) -> dict[str, Any]:
    """Sum up every complete group of an iteration, kept or not."""
    outcomes = _outcomes(judged)
    rewards = np.concatenate([item.credit.rewards for item in judged]) if judged else np.zeros(0)
    succeeded = np.array([rollout.success for rollout in outcomes], dtype=bool)
    solved = [rollout for rollout in outcomes if rollout.success]
    return {
        'episodes': len(outcomes),
        'success': success_share(outcomes),
        'jerk': jerk_of_successes(outcomes),
        'steps': float(np.mean([rollout.steps for rollout in solved])) if solved else float('nan'),
        'reward': float(rewards.mean()) if len(rewards) else float('nan'),
        'successes_without_reward': float((rewards[succeeded] <= 0.0).mean())
        if solved
        else float('nan'),
    }


def _task_figures(iteration: int, judged: Sequence[JudgedGroup]) -> list[dict[str, Any]]:
    """Sum up the complete groups of each task that was played."""
    figures = []
    for number in sorted({item.group.plan.name.task for item in judged}):
        outcomes = _outcomes([item for item in judged if item.group.plan.name.task == number])
        figures.append(
            {
                'iteration': iteration,
                'task': number,
                'episodes': len(outcomes),
                'success': success_share(outcomes),
                'jerk': jerk_of_successes(outcomes),
            }
        )
    return figures


def _outcomes(judged: Sequence[JudgedGroup]) -> list[RolloutOutcome]:
    return [rollout for item in judged for rollout in item.outcome.rollouts]
