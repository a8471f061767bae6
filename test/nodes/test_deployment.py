"""The whole deployment path: the shipped policy does a task on the twin, through the guard."""

from __future__ import annotations

import pytest

from benchmarks.deployment import measure


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_shipped_policy_does_its_task_through_the_guard():
    """A held-out scene that LIBERO's own controller solves too, with the real launch file."""
    figures = measure((('libero_object', 0),), 1)
    assert figures['own_success_percent'] == 100.0
    assert figures['success_percent'] == 100.0
