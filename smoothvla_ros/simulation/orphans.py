"""No process outlives the one that started it."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """Let this process end when its parent is gone, however it went.

    A pool's process waits for work on a pipe whose other end its siblings hold too, so the death of
    the parent alone would never reach it, and a gigabyte would stay behind. Call once, in a process
    that multiprocessing started.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, name='end with parent', daemon=True).start()
