"""Jobs: nodes that do one piece of work over the graph and end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Protocol, TypeVar

import rclpy
from rclpy.node import Node

from smoothvla_ros.control.lock_step.episode_ledger import LedgerSettings
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.executors import spinning
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import (
    ENDING_SIGNALS,
    begin_ros,
    exit_status,
    ignore_ending_signals,
    skip_final_collection,
)
from smoothvla_ros.nodes.jobs.topic_rollouts import TopicRolloutSource


class HasRobots(Protocol):
    """Settings of a job: how many robots it works with, and more."""

    @property
    def robots(self) -> int: ...


Config = TypeVar('Config', bound=HasRobots)

Work = Callable[[Node, Config, TopicRolloutSource], None]

EXIT_INTERRUPTED = 130


def run_job(name: str, config_class: type[Config], work: Work[Config]) -> int:
    """Do `work` in the main thread while another spins the node; return the exit status.

    config_class: becomes the node's parameters, with those of the rollouts; it has `robots`.
    0 when the work is done, 2 for a user's error (a node that died is one), 1 for any other error,
    130 after SIGINT or SIGTERM.
    """
    try:
        begin_ros()
    except UserError as error:
        return exit_status(error)
    # The work ends at a signal like any Python program, not only when it next waits for ROS.
    for number in ENDING_SIGNALS:
        signal.signal(number, _interrupt)
    node: Node | None = None
    try:
        node = Node(name)
        config = declare(node, config_class)
        source = TopicRolloutSource(node, config.robots, declare(node, LedgerSettings))
        # The work waits for what the executor's thread brings, so it must hear of its end.
        threading.excepthook = lambda arguments: source.fail(arguments.exc_value)
        with spinning(node, drains_topics=False):
            work(node, config, source)
            source.require_no_failure()
            ignore_ending_signals()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except UserError as error:
        return exit_status(error)
    finally:
        ignore_ending_signals()
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
        skip_final_collection()
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    # Ctrl-C comes twice, from the terminal and from the launch: the second must not interrupt the
    # tidying up that the first began. It may be pending already, so it is heard and not ignored.
    for ending in ENDING_SIGNALS:
        signal.signal(ending, _ignore_signal)
    raise KeyboardInterrupt


def _ignore_signal(number: int, frame: FrameType | None) -> None:
    """Take a signal after the first one."""
