"""Robots and a policy that take their time and nothing else, to see what a cluster adds to it.

They wait instead of computing, so that a machine of two cores can play a cluster of many.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.cluster_cost import RolloutCosts
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec
from smoothvla_ros.records import EpisodeName, Observation, Trajectory

_ACTIONS = np.zeros((1, 8, 7))


@dataclass
class _Result:
    observation: Observation
    executed: int
    success: bool


class ClockedRobot:
    """Succeeds after a number of chunks that its scene fixes."""

    def __init__(self, costs: RolloutCosts) -> None:
        self._costs = costs

    def reset(self, name: EpisodeName, timeout_s: float) -> Observation:
        """Take a reset's time."""
        time.sleep(self._costs.reset_s)
        shortest = 2.0 * self._costs.chunks - self._costs.longest
        drawn = np.random.default_rng(name.scene_seed).uniform(shortest, self._costs.longest)
        self._left = max(1, round(drawn))
        return self._observe()

    def execute(self, actions: np.ndarray, timeout_s: float, observe: bool = True) -> _Result:
        """Take a chunk's time."""
        time.sleep(self._costs.chunk_s)
        self._left -= 1
        return _Result(self._observe(), len(actions), self._left == 0)

    def trajectory(self) -> Trajectory:
        """Return a motion of one step."""
        points = np.zeros((2, 7))
        turns = np.repeat(np.eye(3)[None], 2, axis=0)
        return Trajectory(
            np.zeros((1, 7)), points, points, points[:, :3], turns, points, 0.05, 0.002
        )

    def _observe(self) -> Observation:
        images = {name: np.zeros((96, 96, 3), np.uint8) for name in ('agentview', 'wrist')}
        return Observation(images, np.zeros(7), np.zeros(7), np.zeros(2), 'wait')


class ClockedPool:
    """Such robots in place of workers."""

    def __init__(self, count: int, costs: RolloutCosts) -> None:
        self.workers = [ClockedRobot(costs) for _ in range(count)]

    def close(self) -> None:
        """Nothing to stop."""


class ClockedPolicy:
    """Answers every question with a chunk that moves nothing, in a decision's time."""

    spec = PolicySpec(8, 7, 256, 'libero_osc_pose', ('agentview', 'wrist'), 96)

    def __init__(self, costs: RolloutCosts) -> None:
        self._costs = costs
        self.module = torch.nn.Linear(1, 1)

    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Take a decision's time for each row."""
        time.sleep(self._costs.decision_s * len(observations))
        actions = np.repeat(_ACTIONS, len(observations), axis=0)
        return ActionChunks(actions, actions.astype(np.int64), actions.astype(np.float32))


def load_clocked(costs: RolloutCosts, folder: Path, device: str) -> ClockedPolicy:
    """Return the policy, whatever the folder holds."""
    return ClockedPolicy(costs)
