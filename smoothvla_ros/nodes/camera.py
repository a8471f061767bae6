"""One camera on topics: Image and CameraInfo under the stamp of the exposure."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image

from smoothvla_ros.cameras.calibration import read_calibration
from smoothvla_ros.cameras.capture import Capture
from smoothvla_ros.cameras.condition import Condition, condition_of
from smoothvla_ros.cameras.settings import CameraSettings
from smoothvla_ros.configuration import setting
from smoothvla_ros.libero import AGENTVIEW
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.topics.image_conversion import ENCODINGS, to_image_message
from smoothvla_ros.nodes.topics.messages import to_camera_info
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.robot_name import ROBOT, require_robot_name

REPORT_PERIOD_S = 1.0
_LEVELS = {Condition.GOOD: OK, Condition.SLOW: WARNING, Condition.SILENT: ERROR}


@dataclass(frozen=True)
class CameraConfig(CameraSettings):
    """The camera, and what it is called."""

    robot_name: str = setting(ROBOT, 'Namespace of the robot that the camera belongs to')
    camera: str = setting(AGENTVIEW, 'Name of the camera, as the policy knows it')
    frame_id: str = setting(
        '', "Optical frame of the images; '': <robot_name>/<camera>_optical_frame"
    )
    encoding: str = setting('rgb8', 'Encoding of the images', choices=ENCODINGS)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_robot_name(self.robot_name, 'camera')


class Camera(AutostartNode):
    """Publishes what a capture delivers, and says how it does."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__('camera', **arguments)
        self._capture: Capture | None = None

    def configure(self) -> None:
        self._config = config = declare(self, CameraConfig)
        self._frame_id = config.frame_id or f'{config.robot_name}/{config.camera}_optical_frame'
        self._calibration = read_calibration(config.calibration) if config.calibration else None
        self._diagnostics = Diagnostics(self)
        quality = profiles(Graph.REAL_ARM).image
        topic = f'{config.robot_name}/camera/{config.camera}'
        self._images = self.create_publisher(Image, f'{topic}/image_raw', quality)
        self._infos = self.create_publisher(CameraInfo, f'{topic}/camera_info', quality)
        self._capture = Capture(config, self._publish)
        self._reports = self.create_timer(REPORT_PERIOD_S, self._report, autostart=False)

    def activate(self) -> None:
        if self._capture is not None:
            self._capture.start()
            self._reports.reset()

    def deactivate(self) -> None:
        self._reports.cancel()
        if self._capture is not None:
            self._capture.stop()

    def stop(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    def _publish(self, image: np.ndarray, stamp_ns: int) -> None:
        message = to_image_message(image, self._config.encoding)
        message.header.stamp = to_stamp(stamp_ns)
        message.header.frame_id = self._frame_id
        info = to_camera_info(self._calibration, message.width, message.height)
        info.header = message.header
        self._images.publish(message)
        self._infos.publish(info)

    def _report(self) -> None:
        capture = self._capture
        if capture is None:
            return
        status = capture.status()
        values = {
            'rate_hz': f'{status.rate_hz:.1f}',
            'age_s': f'{status.age_s:.3f}',
            'frames': status.frames,
            'reconnections': status.reconnections,
        }
        condition, text = condition_of(status, self._config.rate_hz)
        self._diagnostics.report(self._config.camera, _LEVELS[condition], text, values)


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(Camera)


if __name__ == '__main__':
    sys.exit(main())
