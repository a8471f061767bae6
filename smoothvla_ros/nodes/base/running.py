"""From the command line to a spinning node and back to an exit status."""

from __future__ import annotations

import gc
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType

import rclpy
from rclpy.signals import SignalHandlerOptions

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.steadiness import freeze_garbage_collector, hold_in_memory

EXIT_FAILURE = 1
EXIT_USER_ERROR = 2

# Ctrl-C from a terminal, and what a launch file sends next.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM)

# What says where ROS writes its logs.
_LOG_FOLDERS = ('HOME', 'ROS_LOG_DIR', 'ROS_HOME')


def run_node(make_node: Callable[[], AutostartNode], *, steady: bool = False) -> int:
    """Spin a node until a signal or its failure; return the process's exit status.

    steady: for a node that has a period to hold. What the start made is not looked through by the
    garbage collector again and again, and the program stays in memory.

    0 after SIGINT, SIGTERM or the node's own `end`, 2 for a user's error, 1 for anything else. An
    error in any thread of the process ends it: a node that is half dead would only be noticed by
    its silence. A signal also ends a start: the loading of a large model takes a minute.
    """
    # Not an Event: a handler that sets one while another is setting it waits for itself for ever.
    ended: queue.SimpleQueue[None] = queue.SimpleQueue()
    failures: list[BaseException] = []
    starting = True

    def on_thread_error(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None:
            failures.append(arguments.exc_value)
        ended.put(None)

    def on_signal(number: int, frame: FrameType | None) -> None:
        # The terminal and the launch both send: what comes after the first is heard for nothing.
        nonlocal starting
        interrupts, starting = starting, False
        ended.put(None)
        if interrupts:
            raise KeyboardInterrupt

    threading.excepthook = on_thread_error
    try:
        begin_ros()
    except UserError as error:
        return exit_status(error)
    for number in ENDING_SIGNALS:
        signal.signal(number, on_signal)
    node: AutostartNode | None = None
    try:
        node = make_node()
        node.end = lambda: ended.put(None)
        node.autostart()
        if steady:
            freeze_garbage_collector()
            if why_not := hold_in_memory():
                node.get_logger().info(why_not)
        starting = False
        with spinning(node, drains_topics=node.drains_topics):
            ended.get()
            node.stop()
    except KeyboardInterrupt:
        pass
    except UserError as error:
        failures.append(error)
    finally:
        starting = False
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
        skip_final_collection()
        # All is done: a Ctrl-C in the interpreter's last moments must not look like a death.
        ignore_ending_signals()
    return exit_status(failures[0]) if failures else 0


def begin_ros() -> None:
    """Begin with ROS, and leave the signals to us.

    Raises UserError where ROS has no folder for its logs.
    """
    # Asked first: the libraries below rclpy would print lines of their own.
    logs = '--disable-external-lib-logs' not in sys.argv
    if logs and not any(os.environ.get(name) for name in _LOG_FOLDERS):
        raise UserError(f'ROS has no folder for its logs; set {" or ".join(_LOG_FOLDERS[:2])}')
    try:
        # rclpy's own handlers shut the context down at once, and a node could not say goodbye.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    except RuntimeError as error:
        # An RCLError, which has no public name.
        if 'logging' not in str(error):
            raise
        raise UserError(f'ROS: {error}; set ROS_LOG_DIR to a folder for its logs') from error


def ignore_ending_signals() -> None:
    """Let no signal end the process in its last moments, when no handler of ours is there any more.

    Not to be called by a handler: of a signal that is pending Python would tell that it "ignored it
    due to race condition". Outside of one, what is pending is handled first.
    """
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def skip_final_collection() -> None:
    """Spare the interpreter the last collection: half a second of processor time with torch.

    Everything that matters is closed by now, and others may be waiting for this process to end.
    Without torch it costs nothing, and Ruckig complains of all that was not collected.
    """
    if 'torch' in sys.modules:
        gc.freeze()
    else:
        gc.unfreeze()


def exit_status(error: BaseException) -> int:
    """Say on standard error what ended the process and return its exit status."""
    if isinstance(error, UserError):
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr, flush=True)
        return EXIT_USER_ERROR
    traceback.print_exception(error)
    return EXIT_FAILURE
