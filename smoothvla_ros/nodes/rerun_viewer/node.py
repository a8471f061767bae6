"""Arm, cameras, trail, curves and alarms of every robot in a web page on this machine."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.libero import CAMERAS
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.topics.quality_of_service import GRAPHS, profiles
from smoothvla_ros.nodes.topics.robot_names import MEASURED, require_one_robot, robot_names
from smoothvla_ros.viewer.installed import rerun_program

if TYPE_CHECKING:
    from smoothvla_ros.viewer.rerun_view import RerunView


@dataclass(frozen=True)
class RerunViewerConfig:
    """Whom the viewer shows, how often, and where its page is."""

    graph: str = setting('lock_step', 'Graph that the node runs in', choices=GRAPHS)
    robots: int = setting(2, 'Robots that are shown', minimum=1, maximum=64)
    cameras: tuple[str, ...] = setting(CAMERAS, 'Cameras that are shown')
    robot: str = setting('panda', 'Arm: a name in config/robots, or a file')
    urdf: str = setting('', "URDF of the arm; empty takes the robot file's")
    joint_states: str = setting(
        MEASURED,
        "Topic with the joints, in the robot's namespace, or with a / before it, of one robot, as "
        'it is',
    )
    port: int = setting(9090, 'Port of the page, on loopback only', minimum=0, maximum=65535)
    data_port: int = setting(9876, 'Port of its data, on loopback only', minimum=0, maximum=65535)
    memory_mb: int = setting(
        300,
        'Most that is kept, here and again in the browser, MB; the oldest goes first',
        minimum=50,
        maximum=100_000,
    )
    draw_hz: float = setting(20.0, 'Pictures of the arm a second', minimum=1.0, maximum=100.0)
    image_hz: float = setting(5.0, 'Images of a camera a second', minimum=0.1, maximum=60.0)

    def __post_init__(self) -> None:
        """Raise UserError for a value out of range."""
        validate(self, 'rerun_viewer')
        require_one_robot('rerun_viewer', self.joint_states, self.robots)


class RerunViewer(AutostartNode):
    """Shows what the topics of every robot say."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('rerun_viewer', **arguments)
        self._view: RerunView | None = None

    def configure(self) -> None:
        config = declare(self, RerunViewerConfig)
        rerun_program()
        # Only now: who has no Rerun reads one line, not a traceback.
        from smoothvla_ros.nodes.rerun_viewer.robot import ViewedRobot
        from smoothvla_ros.viewer.rerun_view import RerunView

        robot = load_robot_description(config.robot, config.urdf)
        names = robot_names(config.robots)
        self._view = view = RerunView(
            names,
            robot,
            config.cameras,
            port=config.port,
            data_port=config.data_port,
            memory_mb=config.memory_mb,
        )
        quality = profiles(config.graph)
        self._robots = [
            ViewedRobot(
                self,
                name,
                view.scenes[name],
                robot.joints,
                config.cameras,
                quality,
                config.draw_hz,
                config.image_hz,
                config.joint_states,
            )
            for name in names
        ]
        self._timer = self.create_timer(1.0 / config.draw_hz, self._draw, autostart=False)
        self.get_logger().info(f'open {view.url} in a browser on this machine')

    def activate(self) -> None:
        self._timer.reset()

    def deactivate(self) -> None:
        self._timer.cancel()

    def stop(self) -> None:
        view, self._view = self._view, None
        if view is not None:
            view.close()

    def _draw(self) -> None:
        view = self._view
        if view is None:
            return
        view.require_alive()
        for robot in self._robots:
            robot.draw()


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(RerunViewer)


if __name__ == '__main__':
    sys.exit(main())
