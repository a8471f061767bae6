"""Rollouts from this process's own simulation workers: the same loop as the graph, no topics."""

from __future__ import annotations

import logging
import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from smoothvla_ros.policies.chunk_filters import ChunkFilterFactory
from smoothvla_ros.records import Episode, EpisodeRequest
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.worker_pool import WorkerPool
from smoothvla_ros.training.rollouts.robot_crew import RobotCrew
from smoothvla_ros.training.rollouts.served_policy import PolicyLoader, ServedPolicy
from smoothvla_ros.training.rollouts.source import LostEpisode
from smoothvla_ros.training.rollouts.waiting_requests import WaitingRequests, task_of

log = logging.getLogger(__name__)

_Outcome = Episode | LostEpisode | Future[None]


class ProcessRolloutSource:
    """A pool of workers, one thread each, that ask one policy.

    A worker that dies or hangs is named, started again, and its episode repeated, `attempts` times
    at most.
    """

    def __init__(
        self,
        policy_loader: PolicyLoader,
        workers: int,
        render: RenderSettings,
        attempts: int = 3,
        chunk_filter: ChunkFilterFactory | None = None,
        rows: int = 1,
    ) -> None:
        """Start the workers; `update_policy` must be called before the first `collect`.

        chunk_filter: makes the filter that every episode's chunks go through; for evaluation alone,
        because a gradient needs the actions that were decided.
        rows: most requests an inference; 1 gives the same bits whatever the number of workers.
        """
        self._policy = ServedPolicy(policy_loader, rows)
        self._lost: list[LostEpisode] = []
        self._crew = RobotCrew(WorkerPool(workers, render), attempts, chunk_filter)

    def __enter__(self) -> ProcessRolloutSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Load the policy that answers from now on.  Raises UserError if its files changed."""
        self._policy.update(version, folder, sha256)

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were given up."""
        return tuple(self._lost)

    def close(self) -> None:
        """Stop the workers."""
        self._crew.close()

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield the episodes as they finish.

        Raises UserError for a request of another policy version, and whatever the policy or the
        simulator raises for the user.
        """
        self._lost = []
        for request in requests:
            self._policy.check(request)
        waiting = WaitingRequests(requests)
        finished: queue.Queue[_Outcome] = queue.Queue()
        robots = range(len(self._crew.workers))
        with ThreadPoolExecutor(len(robots), thread_name_prefix='robot') as executor:
            try:
                for robot in robots:
                    served = executor.submit(self._serve, robot, waiting, finished)
                    served.add_done_callback(finished.put)
                yield from self._answers(finished, len(requests))
            except (Exception, KeyboardInterrupt):
                # The threads are waited for, and a policy in another program may think for minutes.
                self._policy.give_up()
                raise
            finally:
                waiting.clear()

    def _answers(self, finished: queue.Queue[_Outcome], count: int) -> Iterator[Episode]:
        """Yield what comes until every request is answered; a thread's own error is raised here."""
        while count > 0:
            outcome = finished.get()
            if isinstance(outcome, Future):
                outcome.result()
                continue
            count -= 1
            if isinstance(outcome, LostEpisode):
                log.warning('episode %s is lost: %s', outcome.request.episode_id, outcome.reason)
                self._lost.append(outcome)
            else:
                yield outcome

    def _serve(self, robot: int, waiting: WaitingRequests, finished: queue.Queue[_Outcome]) -> None:
        """Run episodes on one worker until none is waiting."""
        torch.set_num_threads(1)  # the other cores are busy simulating
        task = None
        while (request := waiting.take(task)) is not None:
            task = task_of(request)
            finished.put(self._crew.run(robot, request, self._policy.act))
