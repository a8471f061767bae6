"""LIBERO on topics: simulated robots that look to the graph like any other robot."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Any

from smoothvla_ros import msg
from smoothvla_ros.configuration import setting
from smoothvla_ros.control.lock_step.protocol import EpisodeReport, SimulationClock
from smoothvla_ros.control.lock_step.robot_episode import LockStepSettings, RobotEpisode
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.libero import CAMERAS, CONTROL_PERIOD_S, FAST, RENDER_PROFILES
from smoothvla_ros.nodes.base.diagnostics import Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.libero_bridge.robot_driver import RobotDriver
from smoothvla_ros.nodes.libero_bridge.robot_link import TopicRobotLink
from smoothvla_ros.nodes.topics.messages import to_episode_result
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS, robot_names
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.workers.worker_pool import WorkerPool


@dataclass(frozen=True)
class LiberoBridgeConfig(LockStepSettings):
    """What is simulated."""

    robots: int = setting(2, 'Simulated robots, one process each', minimum=1, maximum=64)
    render_profile: str = setting(FAST, 'How images are drawn', choices=RENDER_PROFILES)
    image_size: int = setting(128, 'Height and width of an image, pixels', minimum=8, maximum=2048)
    cameras: tuple[str, ...] = setting(CAMERAS, 'Cameras that are published')


class LiberoBridge(AutostartNode):
    """Runs requested episodes on simulation workers, in lock-step with a policy.

    One thread (the executor's) only fills queues; one plain thread a robot does everything else.
    """

    drains_topics = False

    def __init__(self, **arguments: Any) -> None:
        super().__init__('libero_bridge', **arguments)
        self._pool: WorkerPool | None = None
        self._drivers: dict[str, RobotDriver] = {}

    def configure(self) -> None:
        config = declare(self, LiberoBridgeConfig)
        quality = profiles(Graph.LOCK_STEP)
        diagnostics = Diagnostics(self)
        self._results = self.create_publisher(msg.EpisodeResult, 'episode_result', quality.result)
        self._pool = WorkerPool(
            config.robots,
            RenderSettings(config.render_profile, config.image_size, config.cameras),
        )
        start_ns = time.time_ns()
        for robot, worker in zip(robot_names(config.robots), self._pool.workers, strict=True):
            joints = (*panda_description().joints, *PANDA_GRIPPER_JOINTS)
            link = TopicRobotLink(self, robot, config.cameras, joints, quality)
            clock = SimulationClock(start_ns, CONTROL_PERIOD_S)
            episode = RobotEpisode(robot, worker, link, clock, config)
            self._drivers[robot] = RobotDriver(
                robot, episode, worker, link, diagnostics, self._publish_result
            )
        self._requests = self.create_subscription(
            msg.EpisodeRequest, 'episode_request', self._on_request, quality.request
        )

    def activate(self) -> None:
        for driver in self._drivers.values():
            driver.start()

    def deactivate(self) -> None:
        for driver in self._drivers.values():
            driver.interrupt()
        for driver in self._drivers.values():
            driver.join()

    def stop(self) -> None:
        for driver in self._drivers.values():
            driver.interrupt()
        # A robot may be waiting for its worker, for minutes: the end of the worker ends that too.
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        for driver in self._drivers.values():
            driver.join()

    def _on_request(self, message: msg.EpisodeRequest) -> None:
        if message.robot in self._drivers:
            self._drivers[message.robot].request(message)

    def _publish_result(self, report: EpisodeReport) -> None:
        if self.context.ok():
            now = self.get_clock().now().nanoseconds
            self._results.publish(to_episode_result(report, now))


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(LiberoBridge)


if __name__ == '__main__':
    sys.exit(main())
