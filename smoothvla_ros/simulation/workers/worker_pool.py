"""Several worker processes that run episodes side by side."""

from __future__ import annotations

from types import TracebackType

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.robot_count import MEMORY_LIMIT_MB
from smoothvla_ros.simulation.workers.worker import Worker, WorkerDied, WorkerTimeout
from smoothvla_ros.simulation.workers.worker_process import StepResult

__all__ = ['StepResult', 'Worker', 'WorkerDied', 'WorkerPool', 'WorkerTimeout']


class WorkerPool:
    """Workers that are started together and ended together; use it as a context manager."""

    def __init__(
        self, count: int, render: RenderSettings, memory_limit_mb: float = MEMORY_LIMIT_MB
    ) -> None:
        """Start `count` workers.

        memory_limit_mb: of one worker; it decides how many built environments a worker keeps.
        Raises UserError if count is not positive.
        """
        if count < 1:
            raise UserError(f'{count} workers: give at least 1')
        self.workers = [Worker(f'robot_{i}', render, memory_limit_mb) for i in range(count)]

    def close(self) -> None:
        """End all workers."""
        for worker in self.workers:
            worker.close()

    def __enter__(self) -> WorkerPool:
        """Return the pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers."""
        self.close()
