"""Where a thread's time went: what to say of a tick that was too late.

The kernel counts for each thread how long it ran, how long it was ready and had no processor
(Linux, Documentation/scheduler/sched-stats.rst), and how often a page that it touched had to be
read from a disk first (getrusage(2)).
"""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from dataclasses import dataclass

from smoothvla_ros.nanoseconds import NANOSECONDS

_SCHEDULER = '/proc/thread-self/schedstat'
_WORTH_SAYING_S = 0.001


@dataclass(frozen=True)
class ThreadUse:
    """What became of the time that passed, s, for one thread.

    computed_s: it ran.  queued_s: it was ready, and others had the processors; 0 where the kernel
    does not count that.  others_s: other threads of its process ran, on all processors together,
    maybe at the same time.  disk_reads: pages that it waited for.  What is left of passed_s it
    waited for something else: an event, a lock, the interpreter.
    """

    passed_s: float
    computed_s: float
    queued_s: float
    others_s: float
    disk_reads: int

    def __str__(self) -> str:
        """Say where the time went; what did not happen is left out."""
        parts = [
            f'{self.passed_s:.3f} s passed on this machine since the tick before: '
            f'{self.computed_s:.3f} s computed'
        ]
        if self.queued_s >= _WORTH_SAYING_S:
            parts.append(f'{self.queued_s:.3f} s waited for a processor')
        if self.others_s >= _WORTH_SAYING_S:
            parts.append(f"{self.others_s:.3f} s computed by the process's other threads")
        if self.disk_reads:
            parts.append(f'pages of memory read from a disk {self.disk_reads}')
        return ', '.join(parts)


@dataclass(frozen=True)
class Mark:
    """What the kernel had counted for a thread, by its number there, when the mark was taken."""

    thread: int
    counted: ThreadUse


class ThreadAccount:
    """Counts from `begin` on, for the thread that called it; costs some microseconds."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._scheduler: int | None = None
        self._began: Mark | None = None

    def mark(self) -> Mark:
        """Return where the counters of this thread stand; what counts already goes on."""
        # Not Python's identity of a thread, which the next one inherits when it has ended.
        thread = threading.get_native_id()
        if thread != self._thread:
            self._close()
            self._thread = thread
            # A kernel or a container may not tell: no reason to end in the middle of a motion.
            with contextlib.suppress(OSError):
                self._scheduler = os.open(_SCHEDULER, os.O_RDONLY | os.O_CLOEXEC)
        return Mark(thread, self._read())

    def begin(self, mark: Mark | None = None) -> None:
        """Count from a mark on, or from now."""
        self._began = mark or self.mark()

    def use(self) -> ThreadUse | None:
        """Return what became of the time since `begin`; None for a thread that did not call it."""
        if self._began is None or self._began.thread != threading.get_native_id():
            return None
        now, then = self.mark().counted, self._began.counted
        return ThreadUse(
            now.passed_s - then.passed_s,
            now.computed_s - then.computed_s,
            now.queued_s - then.queued_s,
            now.others_s - then.others_s,
            now.disk_reads - then.disk_reads,
        )

    def text(self) -> str:
        """Return what became of the time since `begin`, for a reason; empty where nobody knows."""
        use = self.use()
        return '' if use is None else str(use)

    def _read(self) -> ThreadUse:
        """Return the counters as they stand."""
        mine = resource.getrusage(resource.RUSAGE_THREAD)
        computed_s = time.thread_time()
        queued_s = 0.0
        if self._scheduler is not None:
            queued_s = int(os.pread(self._scheduler, 80, 0).split()[1]) / NANOSECONDS
        others_s = time.process_time() - computed_s
        return ThreadUse(time.monotonic(), computed_s, queued_s, others_s, mine.ru_majflt)

    def _close(self) -> None:
        if self._scheduler is not None:
            os.close(self._scheduler)
            self._scheduler = None

    __del__ = _close
