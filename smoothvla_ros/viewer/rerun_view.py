"""The page of all robots: server, recording, layout, and a scene a robot."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import rerun

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.viewer.layout import layout
from smoothvla_ros.viewer.rerun_server import RerunServer
from smoothvla_ros.viewer.robot_scene import RobotScene

APPLICATION = 'smoothvla_ros'
_FLUSH = timedelta(milliseconds=100)


class RerunView:
    """What is seen in the browser.  scenes: by robot."""

    def __init__(
        self,
        robots: Sequence[str],
        description: RobotDescription,
        cameras: Sequence[str],
        *,
        port: int,
        data_port: int,
        memory_mb: int,
    ) -> None:
        """Serve the page and show every robot's links; arguments as `RerunServer`.

        Raises UserError for an arm or a port that cannot be used.
        """
        arm, urdf = description.arm(), description.urdf_path
        self._server = RerunServer(port, data_port, memory_mb)
        self._recording = rerun.RecordingStream(
            APPLICATION,
            send_properties=False,
            batcher_config=rerun.ChunkBatcherConfig(flush_tick=_FLUSH),
        )
        try:
            self._recording.connect_grpc(self._server.data_url)
            # Only the stamps count: times of logging would be kept beside each of them.
            for timeline in ('log_time', 'log_tick'):
                self._recording.disable_timeline(timeline)
            self.scenes = {name: RobotScene(self._recording, name, urdf, arm) for name in robots}
            frames = {name: scene.model.frame for name, scene in self.scenes.items()}
            self._recording.send_blueprint(layout(frames, cameras))
        except BaseException:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Of the page."""
        return self._server.url

    @property
    def server(self) -> RerunServer:
        """What listens."""
        return self._server

    def flush(self) -> None:
        """Return when everything is at the server."""
        self._recording.flush()

    def require_alive(self) -> None:
        """Raise UserError where the server has ended: what is sent to it would pile up."""
        if self._server.ended:
            raise UserError('viewer: rerun has ended; start the viewer again')

    def close(self) -> None:
        """Stop serving; safe to call twice."""
        self._recording.disconnect()
        self._server.close()
