"""J_ref, the unit of jerk of the rewards: measured on the starting policy and then frozen."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.rewards.outcomes import RolloutOutcome, TaskReference

REQUESTS_PER_SUCCESS = 3
"""Most extra episodes that are asked for, for every success that a task still lacks."""

_UNKNOWN = TaskReference(math.nan, math.nan, math.nan, 0)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class JerkReference:
    """The reference of every task, with the estimator that measured it.

    The starting policy is sampled at the training temperature on training episodes: greedy motion
    has several times less jerk, and eq. 5 would then fall below zero.
    """

    estimator: EstimatorSettings
    tasks: Mapping[int, TaskReference]

    def to_plain(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        tasks = {str(task): asdict(reference) for task, reference in self.tasks.items()}
        return {'estimator': asdict(self.estimator), 'tasks': tasks}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> JerkReference:
        """Read back what `to_plain` returned; what an older version kept besides is left out."""
        names = [field.name for field in fields(TaskReference)]
        tasks = {
            int(task): TaskReference(**{name: item[name] for name in names})
            for task, item in values['tasks'].items()
        }
        return cls(EstimatorSettings(**values['estimator']), tasks)


Rollouts = Iterable[tuple[int, RolloutOutcome]]
"""Task index and outcome of rollouts of the starting policy."""


def measure_jerk_reference(
    tasks: Sequence[int],
    rollouts: Rollouts,
    more: Callable[[Mapping[int, int]], Rollouts],
    successes: int,
    estimator: EstimatorSettings,
    lost: Callable[[], str],
    required: bool = True,
) -> JerkReference:
    """Average the successful rollouts of each task that are long enough to have a jerk.

    rollouts: what has been collected anyway.  more: called at most once, with the number of extra
    episodes for each task that has fewer than `successes`.  lost: says why the latest of these did
    not come, or nothing; for the error.  required: whether the reward needs it.
    A task that stays without a success takes the mean of the others, with 0 episodes: there is
    nothing to be smooth about until it has one. A warning names those with fewer than `successes`.
    If no task has any, all are NaN, with a warning.
    Raises UserError if no rollout came, or no task has any and the reward needs it.
    """
    came = succeeded = 0
    solved: dict[int, list[RolloutOutcome]] = {task: [] for task in tasks}

    def keep(items: Rollouts) -> None:
        nonlocal came, succeeded
        for task, rollout in items:
            came += 1
            succeeded += rollout.success
            if rollout.success and rollout.measured and rollout.mean_jerk > 0.0:
                solved[task].append(rollout)

    keep(rollouts)
    missing = {
        task: REQUESTS_PER_SUCCESS * (successes - len(found))
        for task, found in solved.items()
        if len(found) < successes
    }
    if missing:
        keep(more(missing))
    references = {task: _average(found) for task, found in solved.items() if found}
    if not references:
        why = lost()
        if not came:
            raise UserError(
                f'no rollout of the starting policy came back, of tasks {list(tasks)}: '
                f'{why or "nobody said why"}; put that right and start again'
            )
        others = f' (others were lost: {why})' if why else ''
        found = (
            f'the starting policy solved {succeeded or "none"} of its {came} rollouts of tasks '
            f'{list(tasks)}{others}'
        )
        if succeeded:
            found += f', each too short for a jerk (window {estimator.window_s:g} s) or at rest'
        if required:
            remedy = 'choose other tasks' if succeeded else 'choose other tasks or a better policy'
            raise UserError(f'{found}, so there is no motion to smooth; {remedy}')
        log.warning('%s: group.reference is NaN for the whole run', found)
        return JerkReference(estimator, dict.fromkeys(tasks, _UNKNOWN))
    few = [f'task {task}: {len(found)}' for task, found in solved.items() if len(found) < successes]
    if few:
        log.warning(
            'the reference jerk rests on fewer successes than reference_successes=%d: %s; a task '
            'with 0 takes the mean of the others and has no slow_limit',
            successes,
            ', '.join(few),
        )
    pooled = _average([rollout for found in solved.values() for rollout in found])
    fallback = replace(pooled, episodes=0)
    return JerkReference(estimator, {task: references.get(task, fallback) for task in tasks})


def _average(rollouts: Sequence[RolloutOutcome]) -> TaskReference:
    count = len(rollouts)
    return TaskReference(
        jerk=sum(rollout.mean_jerk for rollout in rollouts) / count,
        angular_jerk=sum(rollout.mean_angular_jerk for rollout in rollouts) / count,
        steps=sum(rollout.steps for rollout in rollouts) / count,
        episodes=count,
    )
