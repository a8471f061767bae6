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


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Start processes that no SIGINT reaches, from their first moment on.

    Ctrl-C goes to all processes of a terminal; whoever owns these decides what becomes of them. A
    process that chose to ignore it could do so only after seconds of imports. What is interrupted
    meanwhile hears of it afterwards: a process that is left half started ends with a traceback.
    """
    # Started with the first process, it would lift what is blocked here.
    resource_tracker.ensure_running()
    heard: list[int] = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # Blocked here it still interrupts the main thread, if another one was told.
    handler = signal.getsignal(signal.SIGINT)
    ours = handler is not None and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if ours:
            signal.signal(signal.SIGINT, handler)
        if heard:
            signal.raise_signal(signal.SIGINT)


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
    # The processes share the cores already; more threads in each would only get in the way.
    os.environ.setdefault('OMP_NUM_THREADS', '1')
    others = set(multiprocessing.active_children())
    pending: set[Future[Result]] = set()
    with ProcessPoolExecutor(
        max_workers=max(1, min(processes, len(jobs))),
        mp_context=multiprocessing.get_context('spawn'),
        initializer=start,
        initargs=arguments,
    ) as pool:
        try:
            with deaf_to_interrupts():
                pending.update(pool.submit(work, job) for job in jobs)
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
