"""Processes that end when the one that started them is killed: the kernel sends the signal."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of linux/prctl.h


def signal_on_parent_death(number: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before its program, so that it gets a signal if we are killed.

    The signal comes when the thread that started the child ends, however it ends.
    """
    # Looked up here: between fork and exec nothing may be loaded.
    control = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def before_program() -> None:
        control(_SET_PARENT_DEATH_SIGNAL, int(number), 0, 0, 0)
        if os.getppid() != parent:
            # It was killed between the fork and the call, which came too late.
            os.kill(os.getpid(), number)

    return before_program
