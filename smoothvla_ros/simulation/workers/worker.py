"""One worker process as its owner sees it: blocking calls that end in an answer or an error."""

from __future__ import annotations

import multiprocessing
import threading
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

import numpy as np

from smoothvla_ros.records import EpisodeName, Observation, Trajectory
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers import worker_process
from smoothvla_ros.simulation.workers.owned_processes import start_without_interrupts
from smoothvla_ros.simulation.workers.worker_process import Reply, Request, StepResult

RESET_TIMEOUT_S = 120.0
EXECUTE_TIMEOUT_S = 60.0
_EXIT_TIMEOUT_S = 2.0


class WorkerDied(RuntimeError):
    """The process of a worker ended while, or before, it was asked for something."""


class WorkerTimeout(TimeoutError):
    """A worker did not answer in time; its late answer will be thrown away."""


class Worker:
    """A process that runs episodes; it lives until `close`, whatever tasks it is pointed at.

    Each call blocks its thread.  Calls from several threads wait for each other; `restart` and
    `close` do not wait, they end the process and with it the call that is under way.
    """

    def __init__(self, name: str, render: RenderSettings, memory_limit_mb: float) -> None:
        """Start the process.  name: for errors.  memory_limit_mb: with its environments."""
        self.name = name
        self._render = render
        self._memory_limit_mb = memory_limit_mb
        self._calls = threading.Lock()
        self._closed = False
        self._number = 0
        self._process, self._connection = self._start()

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return self._process.pid

    def reset(self, name: EpisodeName, timeout_s: float = RESET_TIMEOUT_S) -> Observation:
        """Begin an episode, pointing the worker at its task, and return the first observation.

        The first episode of a task takes seconds more, as the scene is built.
        Raises UserError for an unknown name, WorkerDied, WorkerTimeout.
        """
        return self._call('reset', (name,), timeout_s)

    def execute(
        self, actions: np.ndarray, timeout_s: float = EXECUTE_TIMEOUT_S, observe: bool = True
    ) -> StepResult:
        """Execute actions [k, 7] until the first success; the horizon is the caller's.

        observe: whether to render an observation at the end, unless the goal is reached.
        Raises UserError if an action has a wrong shape or is not finite (none is executed then),
        RuntimeError before the first reset, WorkerDied, WorkerTimeout.
        """
        return self._call('execute', (actions, observe), timeout_s)

    def trajectory(self, timeout_s: float = EXECUTE_TIMEOUT_S) -> Trajectory:
        """Return the motion since the reset.

        Raises RuntimeError before the first reset, WorkerDied, WorkerTimeout.
        """
        return self._call('trajectory', (), timeout_s)

    def restart(self) -> None:
        """End the process, whatever it is doing, and start another without an episode.

        A worker that was closed meanwhile stays ended.
        """
        self._process.kill()
        with self._calls:
            if self._closed:
                return
            self._end()
            self._process, self._connection = self._start()

    def close(self) -> None:
        """End the process, whatever it is doing; it keeps nothing that is worth a farewell."""
        self._process.kill()
        with self._calls:
            self._closed = True
            # A restart that was under way has put another process in the place of that one.
            self._process.kill()
            self._end()

    def _start(self) -> tuple[SpawnProcess, Connection]:
        # Spawned, not forked: a fork would share OpenGL, numba and ROS threads with the owner.
        context = multiprocessing.get_context('spawn')
        ours, theirs = context.Pipe()
        process = context.Process(
            target=worker_process.serve,
            args=(theirs, self._render, self._memory_limit_mb),
            name=self.name,
            daemon=True,
        )
        start_without_interrupts(process.start)
        theirs.close()  # or the end of the process would not close the pipe
        return process, ours

    def _end(self) -> None:
        self._process.join()
        self._connection.close()

    def _call(self, method: str, arguments: tuple[Any, ...], timeout_s: float) -> Any:
        with self._calls:
            self._number += 1
            deadline = time.monotonic() + timeout_s
            try:
                self._connection.send(Request(self._number, method, arguments))
                reply = self._reply(method, deadline, timeout_s)
            except WorkerTimeout:
                raise
            except (EOFError, OSError) as error:
                raise self._died(method) from error
        if reply.error is not None:
            raise reply.error
        return reply.value

    def _reply(self, method: str, deadline: float, timeout_s: float) -> Reply:
        while True:
            remaining = max(0.0, deadline - time.monotonic())
            ready = wait([self._connection, self._process.sentinel], remaining)
            if self._connection in ready:
                reply = self._connection.recv()
                if reply.number == self._number:
                    return reply
                continue  # a late answer to a call that was given up
            if ready:
                raise self._died(method)
            raise WorkerTimeout(
                f'worker {self.name} (pid {self.pid}) did not answer {method} in {timeout_s:g} s'
            )

    def _died(self, method: str) -> WorkerDied:
        self._process.join(_EXIT_TIMEOUT_S)
        return WorkerDied(
            f'worker {self.name} (pid {self.pid}) died during {method}, '
            f'exit code {self._process.exitcode}'
        )
