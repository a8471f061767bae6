"""From the command line to a spinning node and back to an exit status."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.lifecycle import AutostartNode

EXIT_FAILURE = 1
EXIT_USER_ERROR = 2


def run_node(make_node: Callable[[], AutostartNode]) -> int:
    """Spin a node until a signal or its failure; return the process's exit status.

    0 after SIGINT or SIGTERM, 2 for a user's error, 1 for anything else. An error in any thread of
    the process ends it: a node that is half dead would only be noticed by its silence.
    """
    rclpy.init()
    failures: list[BaseException] = []

    def on_thread_error(arguments: Any) -> None:
        failures.append(arguments.exc_value)
        rclpy.try_shutdown()

    threading.excepthook = on_thread_error
    node: AutostartNode | None = None
    executor = SingleThreadedExecutor()
    try:
        node = make_node()
        executor.add_node(node)
        node.autostart()
        while rclpy.ok():
            executor.spin_once()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except UserError as error:
        failures.append(error)
    finally:
        if node is not None:
            node.stop()
        executor.shutdown()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return exit_status(failures[0]) if failures else 0


def exit_status(error: BaseException) -> int:
    """Say on standard error what ended the process and return its exit status."""
    if isinstance(error, UserError):
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    traceback.print_exception(error)
    return EXIT_FAILURE
