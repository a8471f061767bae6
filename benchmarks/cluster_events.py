"""Every event of a cluster's rollouts, one after the other: what the cost model leaves out."""

from __future__ import annotations

import heapq
import itertools
from collections import deque

import numpy as np

from benchmarks.cluster_cost import Cluster, RolloutCosts

_VARIATION = 0.3


def simulate(costs: RolloutCosts, cluster: Cluster, episodes: int, seed: int) -> float:
    """Return the seconds until the last of `episodes` ends.

    Robots take the next episode when they are done; each chunk is executed, then waits for the
    first free decider, first come first served. Durations are gamma-distributed around the costs
    with a deviation of 30%; lengths are uniform with the mean and the longest of the costs.
    """
    generator = np.random.default_rng(seed)
    shape = 1.0 / _VARIATION**2

    def around(mean: float) -> float:
        return float(generator.gamma(shape, mean / shape)) if mean > 0.0 else 0.0

    shortest = max(1.0, 2.0 * costs.chunks - costs.longest)
    lengths = deque(
        int(n) for n in np.rint(generator.uniform(shortest, costs.longest, episodes)).clip(1)
    )
    order = itertools.count()
    events: list[tuple[float, int, str, int]] = []
    waiting: deque[int] = deque()
    free, left, now = cluster.deciders, [0] * cluster.robots, 0.0

    def begin(robot: int) -> None:
        if lengths:
            left[robot] = lengths.popleft()
            heapq.heappush(events, (now + around(costs.reset_s), next(order), 'asks', robot))

    for robot in range(cluster.robots):
        begin(robot)
    while events:
        now, _, what, robot = heapq.heappop(events)
        if what == 'asks':
            waiting.append(robot)
        elif what == 'decided':
            free += 1
            heapq.heappush(events, (now + around(costs.chunk_s), next(order), 'executed', robot))
        else:
            left[robot] -= 1
            if left[robot]:
                waiting.append(robot)
            else:
                begin(robot)
        while free and waiting:
            free -= 1
            asked = (now + around(costs.decision_s), next(order), 'decided', waiting.popleft())
            heapq.heappush(events, asked)
    return now
