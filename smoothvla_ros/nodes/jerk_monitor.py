"""The jerk of every robot, live and per episode, by the estimator of the reward and the report."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from smoothvla_ros.nodes.diagnostics import Diagnostics
from smoothvla_ros.nodes.guard_config import read_robot
from smoothvla_ros.nodes.jerk_monitor_config import JerkMonitorConfig
from smoothvla_ros.nodes.lifecycle import AutostartNode
from smoothvla_ros.nodes.monitored_robot import MonitoredRobot
from smoothvla_ros.nodes.parameters import declare
from smoothvla_ros.nodes.quality_of_service import profiles
from smoothvla_ros.nodes.robot_names import robot_names
from smoothvla_ros.nodes.running import run_node

# From one look to the next, at least; where samples come and news are due in a shorter time, that.
_SHORTEST_LOOK_S = 0.0025


class JerkMonitor(AutostartNode):
    """Publishes JerkState for every robot: when samples complete an estimate, and of an episode.

    A thread of its own looks at their queues when that is due: the executor would take longer to
    wake up than the look takes.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__('jerk_monitor', **arguments)
        self._robots: list[MonitoredRobot] = []
        self._longest_look_s = 0.0
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self) -> None:
        config = declare(self, JerkMonitorConfig)
        robot = read_robot(config)
        arm = robot.arm()
        quality = profiles(config.graph)
        diagnostics = Diagnostics(self)
        self._robots = [
            MonitoredRobot(self, name, config, robot, arm, quality, diagnostics)
            for name in robot_names(config.robots)
        ]
        self._longest_look_s = config.look_s

    def activate(self) -> None:
        self._ended.clear()
        self._thread = threading.Thread(target=self._look, name='looks', daemon=True)
        self._thread.start()

    def deactivate(self) -> None:
        self.stop()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _look(self) -> None:
        wait_s = 0.0
        while not self._ended.is_set():
            # Not the event's own wait, which takes several times of this, 100 times a second.
            time.sleep(wait_s)
            began_s = time.monotonic()
            heard = [robot.drain() for robot in self._robots]
            # Whatever is in between completes no estimate; it waits in the queue at no cost.
            news_s = min(robot.until_news_s for robot in self._robots)
            if not any(heard):
                news_s = max(news_s, _SHORTEST_LOOK_S)
            due_s = began_s + min(news_s, self._longest_look_s)
            wait_s = max(0.0, due_s - time.monotonic())


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(JerkMonitor)


if __name__ == '__main__':
    sys.exit(main())
