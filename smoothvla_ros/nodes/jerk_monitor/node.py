"""The jerk of every robot, live and per episode, by the estimator of the reward and the report."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from smoothvla_ros.control.monitoring.look_schedule import LookSchedule
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nodes.base.diagnostics import Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig
from smoothvla_ros.nodes.jerk_monitor.robot import MonitoredRobot
from smoothvla_ros.nodes.topics.quality_of_service import DRAINED_DEPTH, profiles
from smoothvla_ros.nodes.topics.robot_names import robot_names


class JerkMonitor(AutostartNode):
    """Publishes JerkState for every robot: when samples complete an estimate, and of an episode.

    A thread of its own looks at their queues when that is due: the executor would take longer to
    wake up than the look takes.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__('jerk_monitor', **arguments)
        self._robots: list[MonitoredRobot] = []
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def configure(self) -> None:
        config = declare(self, JerkMonitorConfig)
        robot = load_robot_description(config.robot, config.urdf)
        arm = robot.arm()
        quality = profiles(config.graph)
        diagnostics = Diagnostics(self)
        self._robots = [
            MonitoredRobot(self, name, config, robot, arm, quality, diagnostics)
            for name in robot_names(config.robots)
        ]
        self._schedule = LookSchedule.of_queues(
            config.robots, config.period_s, DRAINED_DEPTH, config.poll_period_s
        )

    def activate(self) -> None:
        self._ended.clear()
        # A process that ends without `stop` does not wait for it.
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
        schedule = self._schedule
        while not self._ended.is_set():
            # Not the event's own wait, which takes several times of this, 100 times a second.
            time.sleep(schedule.wait_s(time.monotonic()))
            now_s = time.monotonic()
            for index in schedule.due(now_s):
                robot = self._robots[index]
                heard = robot.drain()
                schedule.looked(index, now_s, robot.until_news_s if heard else None)


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(JerkMonitor)


if __name__ == '__main__':
    sys.exit(main())
