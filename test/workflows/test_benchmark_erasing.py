"""Group standardisation erases lambda where all succeed: shown by the reward that is shipped."""

from __future__ import annotations

import dataclasses

import pytest
from matrix_world import made_row

from smoothvla_ros.workflows.benchmark.erasing import PENALTIES, erasing


def group(task: int, successes: int, members: int = 8, roughness: float = 1.0) -> list:
    """Return rollouts of one scene that differ in jerk; the first of them succeed."""
    start = made_row(task, 0, 1.0)
    return [
        dataclasses.replace(
            start,
            episode_id=f'{task}-{member}',
            jerk=roughness * (1.0 + 0.1 * member),
            success=member < successes,
        )
        for member in range(members)
    ]


def test_where_all_succeed_lambda_changes_no_advantage() -> None:
    """Twenty times the penalty moves nothing there, and something in a mixed group."""
    found = erasing([*group(0, 8), *group(1, 5)])
    assert [item['lambda'] for item in found] == list(PENALTIES)
    assert found[0]['groups'] == {'all_success': 1, 'mixed': 1}
    assert all(item['all_success'] == pytest.approx(0.0, abs=1e-9) for item in found)
    assert found[-1]['mixed'] > 0.1


def test_a_penalty_that_makes_a_success_worth_a_failure_is_counted() -> None:
    """At lambda 1 every success above its task's mean jerk earns nothing."""
    found = erasing(group(0, 8))
    assert found[0]['successes_without_reward'] == 0.0
    assert found[-1]['successes_without_reward'] == pytest.approx(0.5)
    assert found[-1]['mixed'] is None


def test_without_a_group_there_is_nothing_to_show() -> None:
    """Single rollouts and groups without a success are no groups to compare."""
    assert erasing([]) == []
    assert erasing([*group(0, 0), made_row(2, 1, 1.0)]) == []
