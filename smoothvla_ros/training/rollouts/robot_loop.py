"""One robot, one episode, in process: observe, decide, execute, until success or the horizon."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from smoothvla_ros.policies.chunk_filters import ChunkFilter
from smoothvla_ros.policies.policy import ActionChunks
from smoothvla_ros.policies.seeds import chunk_seed
from smoothvla_ros.records import (
    ChunkRecord,
    Episode,
    EpisodeName,
    EpisodeRequest,
    Observation,
    Trajectory,
)
from smoothvla_ros.simulation.tasks import horizon

Act = Callable[[Observation, float, int], ActionChunks]
"""Observation, temperature and seed of one row to a batch of one chunk."""


class Execution(Protocol):
    """What came of a chunk.

    observation: None if none was asked for or the episode ended.  executed: steps that were run.
    """

    @property
    def observation(self) -> Observation | None: ...

    @property
    def executed(self) -> int: ...

    @property
    def success(self) -> bool: ...


class RolloutRobot(Protocol):
    """What the loop needs of a simulation worker."""

    def reset(self, name: EpisodeName, timeout_s: float) -> Observation: ...

    def execute(self, actions: np.ndarray, timeout_s: float, observe: bool = True) -> Execution: ...

    def trajectory(self) -> Trajectory: ...


def run_episode(
    robot: RolloutRobot,
    act: Act,
    request: EpisodeRequest,
    reset_timeout_s: float,
    step_timeout_s: float,
    chunk_filter: ChunkFilter | None = None,
) -> Episode:
    """Run one requested episode and return it complete.

    The seed of every chunk follows from the run, the episode and the chunk's index alone, so any
    robot, here or behind topics, gets the same rollout.  The robot stops at first success; no step
    beyond the horizon is sent.  Errors of `robot` and `act` pass through.
    chunk_filter: changes every chunk before it is executed, and may shorten it; a new one an
    episode. Tokens and log-probabilities of the episode stay the policy's own.
    """
    steps_left = horizon(request.name.suite) if request.horizon is None else request.horizon
    observation: Observation | None = robot.reset(request.name, reset_timeout_s)
    chunks: list[ChunkRecord] = []
    success = False
    while steps_left > 0 and not success:
        assert observation is not None  # the robot observes unless the episode has ended
        seed = chunk_seed(request.seed, request.episode_id, len(chunks))
        chunk = act(observation, request.temperature, seed)
        decided = chunk.actions[0]
        executed = decided if chunk_filter is None else chunk_filter(decided)
        actions = executed[:steps_left]
        last = len(actions) == steps_left
        result = robot.execute(actions, step_timeout_s, observe=not last)
        chunks.append(
            ChunkRecord(observation, chunk.tokens[0], chunk.log_probs[0], result.executed)
        )
        steps_left -= len(actions)
        observation, success = result.observation, result.success
    return Episode(request, success, robot.trajectory(), chunks)
