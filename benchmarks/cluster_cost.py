"""What a cluster is worth: episodes a second against cores and GPUs.

Two bounds and a tail, no queueing theory: `benchmarks/cluster_scaling.py` compares the answers with
a simulation of every single event, and with real Ray processes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RolloutCosts:
    """What one episode takes, in seconds of what it occupies.

    reset_s: of a core, an episode.  chunk_s: of a core, to execute a chunk and draw its last
    images.  decision_s: of what decides (the core of an actor, or a GPU), a chunk.
    chunks: of an episode, in the mean.  longest: chunks of the longest episode, the horizon's.
    """

    reset_s: float
    chunk_s: float
    decision_s: float
    chunks: float
    longest: float

    @property
    def episode_s(self) -> float:
        """An episode without any waiting."""
        return self.reset_s + self.chunks * (self.chunk_s + self.decision_s)

    @property
    def longest_s(self) -> float:
        """The longest episode without any waiting."""
        return self.reset_s + self.longest * (self.chunk_s + self.decision_s)


@dataclass(frozen=True)
class Cluster:
    """robots: a core each.  deciders: who take one question at a time, actors or GPUs."""

    robots: int
    deciders: int


@dataclass(frozen=True)
class Iteration:
    """episodes: between two updates.  between_s: update, checkpoint and loading it everywhere."""

    episodes: int
    between_s: float


def steady_rate(costs: RolloutCosts, cluster: Cluster) -> float:
    """Return episodes a second while every robot has one: the robots' bound or the deciders'."""
    by_robots = cluster.robots / costs.episode_s
    by_deciders = cluster.deciders / (costs.chunks * costs.decision_s)
    return min(by_robots, by_deciders)


def rollout_seconds(costs: RolloutCosts, cluster: Cluster, episodes: int) -> float:
    """Return how long the rollouts of an iteration take, the last ones among idle robots included.

    While all are busy, at the steady rate; then on average half an episode until the last robot is
    done, and never less than the longest episode takes.
    """
    busy = min(cluster.robots, episodes)
    rate = steady_rate(costs, Cluster(busy, cluster.deciders))
    tail_s = costs.longest_s * (busy - 1) / (2 * busy) if episodes > busy else 0.0
    return max(episodes / rate + tail_s, costs.longest_s)


def episodes_per_second(costs: RolloutCosts, cluster: Cluster, iteration: Iteration) -> float:
    """Return the rate over whole iterations, of sampling and learning in turns."""
    sampling_s = rollout_seconds(costs, cluster, iteration.episodes)
    return iteration.episodes / (sampling_s + iteration.between_s)
