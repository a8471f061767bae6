"""The twin: a simulated Panda on the topics of ros2_control, its cameras, and LIBERO's verdict."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.twin.link import TwinLink
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import splits
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin
from smoothvla_ros.simulation.twin.config import TwinConfig
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.runner import RunnerSettings, TwinRunner

REPORT_PERIOD_S = 1.0


class Twin(AutostartNode):
    """Gives the executor's commands to the twin's own thread, and its output to the topics."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('twin', **arguments)
        self._runner: TwinRunner | None = None
        self._thread: threading.Thread | None = None

    def configure(self) -> None:
        self._config = config = declare(self, TwinConfig)
        self._diagnostics = Diagnostics(self)
        episodes = splits.episode_names(
            config.suite, config.task, splits.Split(config.split), config.episodes, config.seed
        )
        settings = RunnerSettings(
            config.speed,
            config.owns_clock,
            config.joint_rate_hz,
            config.image_rate_hz,
            config.time_limit_s,
        )
        self._link = TwinLink(
            self, config.robot_name, config.cameras, config.instruction, self._diagnostics
        )
        render = RenderSettings(config.render_profile, config.image_size, config.cameras)
        self._runner = TwinRunner(
            ArmTwin(render),
            episodes,
            settings,
            self._link,
            EpisodeLog(config.motions),
            time.time_ns(),
        )
        self._link.listen(self._runner)
        self._reset = self.create_service(Trigger, f'{config.robot_name}/reset', self._on_reset)
        self._requests = self.create_subscription(
            msg.EpisodeRequest,
            'episode_request',
            self._on_request,
            profiles(Graph.REAL_ARM).request,
        )
        self._reports = self.create_timer(REPORT_PERIOD_S, self._report, autostart=False)

    def activate(self) -> None:
        if self._runner is None:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._runner.run, name='physics')
            self._thread.start()
        self._runner.resume()
        self._reports.reset()

    def deactivate(self) -> None:
        self._reports.cancel()
        if self._runner is not None:
            self._runner.pause()

    def stop(self) -> None:
        if self._runner is not None:
            self._runner.stop()
        if self._thread is not None:
            self._thread.join()
        self._runner = self._thread = None

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        runner = self._runner
        if runner is None:
            response.message = 'the node is not configured'
            return response
        runner.reset()
        response.success = True
        robot = self._config.robot_name
        response.message = f'episode_state of {robot} says when the next scene begins'
        return response

    def _on_request(self, message: msg.EpisodeRequest) -> None:
        runner = self._runner
        if runner is not None and message.robot == self._config.robot_name:
            runner.reset(
                EpisodeName(message.suite, message.task, message.init_state, message.scene_seed)
            )

    def _report(self) -> None:
        runner = self._runner
        if runner is None:
            return
        slipped, skipped = runner.slipped_s, runner.skipped_images
        text = 'runs at its speed' if slipped < 1.0 else 'this machine is too slow for the speed'
        values = {'slipped_s': f'{slipped:.2f}', 'skipped_images': skipped}
        self._diagnostics.report('pace', OK if slipped < 1.0 else WARNING, text, values)


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(Twin)


if __name__ == '__main__':
    sys.exit(main())
