"""Rollouts from this process's own simulation workers: the same loop as the graph, no topics."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.chunk_filters import ChunkFilterFactory
from smoothvla_ros.policies.policy import ActionChunks, Policy
from smoothvla_ros.records import Episode, EpisodeRequest, Observation
from smoothvla_ros.simulation.rendering import RenderSettings
from smoothvla_ros.simulation.worker import EXECUTE_TIMEOUT_S, RESET_TIMEOUT_S
from smoothvla_ros.simulation.worker_pool import Worker, WorkerDied, WorkerPool, WorkerTimeout
from smoothvla_ros.training.checkpoints import folder_sha256
from smoothvla_ros.training.robot_loop import run_episode
from smoothvla_ros.training.rollouts import LostEpisode

log = logging.getLogger(__name__)

PolicyLoader = Callable[[Path], Policy]
_Outcome = Episode | LostEpisode | Future[None]


class ProcessRolloutSource:
    """A pool of workers, one thread each; inference one request at a time, under a lock.

    A batch of one gives the same bits whatever the number of workers. A worker that dies or hangs
    is named, started again, and its episode repeated, `attempts` times at most.
    """

    def __init__(
        self,
        policy_loader: PolicyLoader,
        workers: int,
        render: RenderSettings,
        attempts: int = 3,
        chunk_filter: ChunkFilterFactory | None = None,
    ) -> None:
        """Start the workers; `update_policy` must be called before the first `collect`.

        chunk_filter: makes the filter that every episode's chunks go through; for evaluation alone,
        because a gradient needs the actions that were decided.
        """
        self._chunk_filter = chunk_filter
        self._load = policy_loader
        self._attempts = attempts
        self._policy: Policy | None = None
        self._version = -1
        self._inference = threading.Lock()
        self._lost: list[LostEpisode] = []
        self._pool = WorkerPool(workers, render)

    def __enter__(self) -> ProcessRolloutSource:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Load the policy that answers from now on.  Raises UserError if its files changed."""
        found = folder_sha256(folder)
        if found != sha256:
            raise UserError(
                f'policy {folder} changed since version {version} was announced; resume from an '
                'intact checkpoint'
            )
        self._policy = self._load(folder)
        self._policy.module.eval()
        self._version = version

    def lost(self) -> Sequence[LostEpisode]:
        """Return the requests of the latest `collect` that were given up."""
        return tuple(self._lost)

    def close(self) -> None:
        """Stop the workers."""
        self._pool.close()

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Yield the episodes as they finish.

        Raises UserError for a request of another policy version, and whatever the policy or the
        simulator raises for the user.
        """
        self._lost = []
        for request in requests:
            if request.policy_version != self._version:
                raise UserError(
                    f'episode {request.episode_id} asks for policy version '
                    f'{request.policy_version}, but version {self._version} is loaded'
                )
        waiting = _Waiting(requests)
        finished: queue.Queue[_Outcome] = queue.Queue()
        workers = self._pool.workers
        with ThreadPoolExecutor(len(workers), thread_name_prefix='robot') as executor:
            for worker in workers:
                served = executor.submit(self._serve, worker, waiting, finished)
                served.add_done_callback(finished.put)
            try:
                yield from self._answers(finished, len(requests))
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

    def _serve(self, worker: Worker, waiting: _Waiting, finished: queue.Queue[_Outcome]) -> None:
        """Run episodes on one worker until none is waiting."""
        torch.set_num_threads(1)  # the other cores are busy simulating
        task = None
        while (request := waiting.take(task)) is not None:
            task = (request.name.suite, request.name.task)
            finished.put(self._run(worker, request))

    def _run(self, worker: Worker, request: EpisodeRequest) -> Episode | LostEpisode:
        reason = ''
        for _ in range(self._attempts):
            try:
                chunk_filter = self._chunk_filter() if self._chunk_filter is not None else None
                return run_episode(
                    worker, self._act, request, RESET_TIMEOUT_S, EXECUTE_TIMEOUT_S, chunk_filter
                )
            except (WorkerDied, WorkerTimeout) as error:
                reason = str(error)
                log.warning('%s; it is started again for episode %s', reason, request.episode_id)
                worker.restart()
        return LostEpisode(request, reason)

    def _act(self, observation: Observation, temperature: float, seed: int) -> ActionChunks:
        assert self._policy is not None
        with self._inference:
            return self._policy.act([observation], temperature=temperature, seeds=[seed])


class _Waiting:
    """Requests that no worker has taken yet."""

    def __init__(self, requests: Sequence[EpisodeRequest]) -> None:
        self._requests = list(requests)
        self._lock = threading.Lock()

    def take(self, task: tuple[str, int] | None) -> EpisodeRequest | None:
        """Return the next request of the task that the worker has loaded, or else of any."""
        with self._lock:
            if not self._requests:
                return None
            same = (
                index
                for index, request in enumerate(self._requests)
                if (request.name.suite, request.name.task) == task
            )
            return self._requests.pop(next(same, 0))

    def clear(self) -> None:
        """Forget the rest, so that the workers stop after their present episode."""
        with self._lock:
            self._requests.clear()
