"""Work in spawned processes that belong to one owner: it alone hears Ctrl-C, and ends them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from typing import Any, TypeVar

from smoothvla_ros.errors import UserError

Job = TypeVar('Job')
Result = TypeVar('Result')

_BEGINS_WITHIN_S = 1.0
_THREADS = 'OMP_NUM_THREADS'


def start_without_interrupts(start: Callable[[], Result]) -> Result:
    """Start processes that no SIGINT reaches, from their first moment on; return what `start` does.

    Ctrl-C goes to all processes of a terminal; whoever owns these decides what becomes of them. A
    process that chose to ignore it could do so only after seconds of imports: it inherits that
    from the thread that starts it. Never the main one: there Python raises KeyboardInterrupt even
    while the signal is blocked, if another thread was told, and a process that is left half started
    ends with a traceback. An interrupt is raised here once what has begun is through.
    """
    # Started with the first process, it would lift what is blocked here.
    resource_tracker.ensure_running()
    begun, outcome = threading.Event(), Future[Result]()

    def run() -> None:
        begun.set()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            outcome.set_result(start())
        except BaseException as error:  # noqa: BLE001 - it is the caller's, and raised there
            outcome.set_exception(error)

    try:
        threading.Thread(target=run, name='start').start()
        return outcome.result()
    finally:
        # Interrupted in `Thread.start`, nobody knows whether there is one.
        if begun.wait(_BEGINS_WITHIN_S):
            wait([outcome])


def finished_work(
    work: Callable[[Job], Result],
    jobs: Sequence[Job],
    processes: int,
    start: Callable[..., None],
    arguments: tuple[Any, ...] = (),
) -> Generator[Result]:
    """Yield `work(job)` of every job as they finish; `start` prepares each process first.

    If the iteration is left before the end, the processes are killed in what they do.
    Raises UserError if a process dies, and what `work` raises.
    """
    others = set(multiprocessing.active_children())
    pending: set[Future[Result]] = set()
    with ProcessPoolExecutor(
        max_workers=max(1, min(processes, len(jobs))),
        mp_context=multiprocessing.get_context('spawn'),
        initializer=start,
        initargs=arguments,
    ) as pool:
        try:
            with _one_thread_each():
                start_without_interrupts(
                    lambda: pending.update(pool.submit(work, job) for job in jobs)
                )
            while pending:
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                'a process died (memory?); run the same command again: what is done is kept'
            ) from error
        finally:
            if pending:
                for process in set(multiprocessing.active_children()) - others:
                    process.kill()


@contextlib.contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes that start meanwhile compute in one thread: they share the cores already."""
    chosen = os.environ.get(_THREADS)
    os.environ.setdefault(_THREADS, '1')
    try:
        yield
    finally:
        if chosen is None:
            del os.environ[_THREADS]
