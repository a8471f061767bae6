"""The cost model of a cluster, in cases that can be counted by hand and event by event."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.cluster_cost import (
    Cluster,
    Iteration,
    RolloutCosts,
    episodes_per_second,
    rollout_seconds,
    steady_rate,
)
from benchmarks.cluster_events import simulate

# 1 s to reset and 10 chunks of 0.9 s with 0.1 s to decide: 11 s an episode.
ALIKE = RolloutCosts(1.0, 0.9, 0.1, 10.0, 10.0)
SPREAD = RolloutCosts(0.6, 0.25, 0.025, 15.0, 27.0)


def test_counted_by_hand():
    """One robot, one after the other; many robots and one decider: its time alone counts."""
    assert rollout_seconds(ALIKE, Cluster(1, 1), 4) == pytest.approx(44.0)
    assert steady_rate(ALIKE, Cluster(1000, 1)) == pytest.approx(1.0)
    assert steady_rate(ALIKE, Cluster(1000, 5)) == pytest.approx(5.0)
    assert steady_rate(ALIKE, Cluster(22, 1000)) == pytest.approx(2.0)


def test_no_cluster_is_faster_than_its_longest_episode():
    """However many robots there are."""
    long = dataclasses.replace(ALIKE, longest=20.0)
    assert rollout_seconds(long, Cluster(10**6, 10**6), 5) == pytest.approx(21.0)


def test_updates_are_not_hidden():
    """Sampling and learning take turns."""
    alone = episodes_per_second(ALIKE, Cluster(1, 1), Iteration(4, 0.0))
    assert alone == pytest.approx(1.0 / 11.0)
    assert episodes_per_second(ALIKE, Cluster(1, 1), Iteration(4, 44.0)) == pytest.approx(alone / 2)


def test_the_simulation_counts_right_without_chance(monkeypatch):
    """Four episodes of 11 s on two robots: 22 s; on four with one decider: what queues, queues."""
    monkeypatch.setattr('benchmarks.cluster_events._VARIATION', 1e-3)
    assert simulate(ALIKE, Cluster(2, 2), 4, 0) == pytest.approx(22.0, rel=1e-2)
    # The last of four waits three decisions once; then they have spread.
    assert simulate(ALIKE, Cluster(4, 1), 4, 0) == pytest.approx(11.3, rel=1e-2)


@pytest.mark.parametrize('robots', [1, 16, 64, 256, 1000])
@pytest.mark.parametrize('deciders', [1, 16])
def test_the_model_agrees_with_every_event_simulated(robots, deciders):
    """Within 10 % to 1,000 robots, where an iteration has twice as many episodes or more."""
    cluster = Cluster(robots, deciders)
    simulated = sum(simulate(SPREAD, cluster, 2048, seed) for seed in range(2)) / 2
    assert rollout_seconds(SPREAD, cluster, 2048) == pytest.approx(simulated, rel=0.10)
