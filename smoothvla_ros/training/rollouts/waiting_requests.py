"""Requests that no robot has taken yet."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from smoothvla_ros.records import EpisodeRequest

Task = tuple[str, int]
"""Suite and task: what a worker has loaded."""


def task_of(request: EpisodeRequest) -> Task:
    """Return what a worker has loaded after a request."""
    return (request.name.suite, request.name.task)


class WaitingRequests:
    """Hands out requests, to any number of threads."""

    def __init__(self, requests: Sequence[EpisodeRequest]) -> None:
        """Let all of them wait."""
        self._requests = list(requests)
        self._lock = threading.Lock()

    def take(self, task: Task | None) -> EpisodeRequest | None:
        """Return the next request of the task that the worker has loaded, or else of any."""
        with self._lock:
            if not self._requests:
                return None
            same = (i for i, request in enumerate(self._requests) if task_of(request) == task)
            return self._requests.pop(next(same, 0))

    def put_back(self, request: EpisodeRequest) -> None:
        """Let a request wait again, before the others."""
        with self._lock:
            self._requests.insert(0, request)

    def clear(self) -> None:
        """Forget the rest, so that the workers stop after their present episode."""
        with self._lock:
            self._requests.clear()
