"""Simulation workers that run whole episodes and are started again when they die."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from smoothvla_ros.policies.chunk_filters import ChunkFilterFactory
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.workers.worker import EXECUTE_TIMEOUT_S, RESET_TIMEOUT_S
from smoothvla_ros.simulation.workers.worker_pool import Worker, WorkerDied, WorkerTimeout
from smoothvla_ros.training.rollouts.robot_loop import Act, run_episode
from smoothvla_ros.training.rollouts.source import LostEpisode

log = logging.getLogger(__name__)


class Pool(Protocol):
    """What a crew needs of a `WorkerPool`."""

    workers: list[Worker]

    def close(self) -> None: ...


class RobotCrew:
    """The workers of one process, each to be used by one thread at a time."""

    def __init__(
        self, pool: Pool, attempts: int, chunk_filter: ChunkFilterFactory | None = None
    ) -> None:
        """Take a pool over.

        attempts: how often an episode is begun before it is given up.  chunk_filter: makes the
        filter that every episode's chunks go through.
        """
        self.pool = pool
        self._attempts = attempts
        self._chunk_filter = chunk_filter

    @property
    def workers(self) -> Sequence[Worker]:
        """The workers, in order."""
        return self.pool.workers

    def run(self, robot: int, request: EpisodeRequest, act: Act) -> Episode | LostEpisode:
        """Run one episode on a worker; one that dies or hangs is named and started again."""
        worker, reason = self.pool.workers[robot], ''
        for _ in range(self._attempts):
            try:
                chunk_filter = self._chunk_filter() if self._chunk_filter is not None else None
                return run_episode(
                    worker, act, request, RESET_TIMEOUT_S, EXECUTE_TIMEOUT_S, chunk_filter
                )
            except (WorkerDied, WorkerTimeout) as error:
                reason = str(error)
                log.warning('%s; it is started again for episode %s', reason, request.episode_id)
                worker.restart()
        return LostEpisode(request, reason)

    def close(self) -> None:
        """End all workers."""
        self.pool.close()
