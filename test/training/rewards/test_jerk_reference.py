"""What the starting policy's rollouts give as the unit of jerk, and what stands against it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Trajectory
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.rewards.jerk_reference import JerkReference, measure_jerk_reference
from smoothvla_ros.training.rewards.outcomes import RolloutOutcome


def rollout(success: bool, jerk: float = 10.0, steps: int = 80) -> RolloutOutcome:
    """One rollout of constant jerk; NaN is too short to have any."""
    constant, still = np.full(steps, jerk), Trajectory.at_rest(steps)
    return RolloutOutcome(success, jerk, constant, constant, constant, (steps,), still)


def measured(
    rollouts: Sequence[tuple[int, RolloutOutcome]], *, required: bool = True
) -> JerkReference:
    """The reference of tasks 0 and 1 from these rollouts alone, four successes wished for."""
    return measure_jerk_reference(
        (0, 1), rollouts, lambda missing: [], 4, EstimatorSettings(), lambda: '', required=required
    )


def test_without_a_success_it_is_said_that_nothing_was_solved():
    """The policy is to blame."""
    with pytest.raises(UserError, match=r'solved none of its 2 rollouts of tasks \[0, 1\]'):
        measured([(0, rollout(False)), (1, rollout(False))])


def test_successes_too_short_for_a_jerk_are_not_called_failures():
    """Nothing of `solved none`: it solved two, in less than the estimator's window."""
    short = [(task, rollout(True, math.nan, steps=2)) for task in (0, 1)]
    with pytest.raises(UserError, match=r'solved 2 of its 3 rollouts .*0.3 s') as error:
        measured([*short, (1, rollout(False))])
    assert 'none' not in str(error.value)


def test_a_reward_that_needs_no_jerk_goes_on_without_one(caplog):
    """NaN for every task, said once with the reason."""
    reference = measured([(0, rollout(False)), (1, rollout(False))], required=False)
    assert sorted(reference.tasks) == [0, 1]
    for task in reference.tasks.values():
        assert all(math.isnan(value) for value in (task.jerk, task.angular_jerk, task.steps))
        assert task.episodes == 0
    (record,) = caplog.records
    assert 'solved none of its 2 rollouts' in record.message
    assert 'group.reference' in record.message


def test_without_any_rollout_no_reward_goes_on():
    """There is nothing to learn from either."""
    with pytest.raises(UserError, match='no rollout of the starting policy came back'):
        measured([], required=False)


def test_tasks_whose_reference_rests_on_few_successes_are_named(caplog):
    """In one line, with how many of those wished for; a task with none has the others' mean."""
    reference = measured([(0, rollout(True, 10.0)), (0, rollout(True, 20.0)), (1, rollout(False))])
    assert [reference.tasks[task].jerk for task in (0, 1)] == [15.0, 15.0]
    assert [reference.tasks[task].episodes for task in (0, 1)] == [2, 0]
    (record,) = caplog.records
    assert 'reference_successes=4' in record.message
    assert 'task 0: 2, task 1: 0' in record.message


def test_a_task_without_a_success_has_the_mean_of_all_others():
    """Of every success of every other task, not of one task."""
    rollouts = [(0, rollout(True, 10.0)), (0, rollout(True, 20.0)), (2, rollout(True, 60.0))]
    reference = measure_jerk_reference(
        (0, 1, 2), rollouts, lambda missing: [], 1, EstimatorSettings(), lambda: ''
    )
    assert [reference.tasks[task].jerk for task in (0, 1, 2)] == [15.0, 30.0, 60.0]


def test_a_reference_with_enough_successes_is_not_talked_about(caplog):
    """Every task has as many as were wished for."""
    measured([(task, rollout(True)) for task in (0, 1) for _ in range(4)])
    assert not caplog.records
