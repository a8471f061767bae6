"""Spawned processes that do not outlive the one that spawned them."""

from __future__ import annotations

import multiprocessing
import os
import threading


def end_with_owner() -> None:
    """End this spawned process as soon as its owner is gone, even in the middle of a computation.

    A closed pipe would be noticed too, but only at the next message, a scene's whole construction
    later; and a process pool's pipes are held open by its processes themselves.
    """
    owner = multiprocessing.parent_process()
    if owner is None:
        raise RuntimeError('only a process that multiprocessing started has an owner')

    def watch() -> None:
        owner.join()
        os._exit(1)

    threading.Thread(target=watch, name='owner', daemon=True).start()
