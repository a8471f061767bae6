"""When the markers of one robot are drawn, and what they say."""

from __future__ import annotations

import time

import numpy as np
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.nodes.jerk_monitor.markers import JerkMarkers, deleted
from smoothvla_ros.smoothness import AlarmLevel, WatchedJerk

PERIOD_S = 0.05  # 20 Hz is as much as an eye follows
STALE_S = 1.0
_DEPTH = 5


class JerkView:
    """Keeps the trail of one robot and publishes the picture at 20 Hz while someone looks."""

    def __init__(self, node: Node, topic: str, arm: Arm, frame: str, full_scale: float) -> None:
        self._node = node
        self._arm = arm
        self._frame = frame
        self._markers = JerkMarkers(frame, full_scale, len(arm.joint_names))
        # Of the clock on the wall, as whoever looks: a simulated one may stand still.
        self._drawn_s = self._heard_s = -PERIOD_S
        self._newest: tuple[np.ndarray, np.ndarray, str] | None = None
        self._publisher = node.create_publisher(MarkerArray, topic, _DEPTH)

    def reset(self) -> None:
        """Take everything away: another episode begins."""
        self._markers.trail.clear()
        self._newest = None
        self._publisher.publish(deleted(self._frame))

    def add(self, positions: np.ndarray, watched: WatchedJerk, level: AlarmLevel) -> None:
        """Take the newest sample's joint positions [n] rad and what was estimated of them.

        The trail begins with who looks.
        """
        jerk = watched.estimate.newest_tool_jerk
        if self._publisher.get_subscription_count():
            self._markers.trail.add(self._arm.tool_pose(positions)[0], jerk)
        else:
            self._markers.trail.clear()
        self._heard_s = time.monotonic()
        self._newest = (positions, watched.share_of_limit, f'{jerk:.3g} m/s³ {level.name}')

    def draw(self) -> None:
        """Publish the picture if it is time, and say so when it has become old."""
        now_s = time.monotonic()
        if self._newest is None or now_s - self._drawn_s < PERIOD_S:
            return
        if not self._publisher.get_subscription_count():
            return
        positions, shares, text = self._newest
        if now_s - self._heard_s > STALE_S:
            text = 'stale'
            # Again and again, for who looks later; nothing moves any more.
            if self._drawn_s - self._heard_s > STALE_S and now_s - self._drawn_s < STALE_S:
                return
        self._drawn_s = now_s
        self._publisher.publish(
            self._markers.picture(
                self._node.get_clock().now().to_msg(),
                self._arm.joint_origins(positions),
                shares,
                text,
                self._arm.tool_pose(positions)[0],
            )
        )
