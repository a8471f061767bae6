"""How tests of nodes wait for what others bring about: for a condition, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.executors import Executor

# For a busy machine; pytest ends a test half a minute later.
PATIENCE_S = 150.0
_LOOK_S = 0.005
_SPIN_S = 0.05


def look_again() -> None:
    """Let other threads and processes work."""
    time.sleep(_LOOK_S)


def wait_until(
    condition: Callable[[], object],
    timeout_s: float = PATIENCE_S,
    turn: Callable[[], object] = look_again,
    told: Callable[[], object] = str,
) -> None:
    """Wait until a condition holds; raises AssertionError, with what `told` returns, if it is late.

    turn: what goes on between two looks; it may find that there is nothing to wait for any more.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f'waited in vain {told()}'.strip()
        turn()


def spin_until(
    executor: Executor, condition: Callable[[], object], timeout_s: float = PATIENCE_S
) -> None:
    """Spin in this thread until a condition holds, as `wait_until`."""
    wait_until(condition, timeout_s, lambda: executor.spin_once(timeout_sec=_SPIN_S))
