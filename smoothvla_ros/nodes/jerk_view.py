"""When the markers of one robot are drawn, and what they say."""

from __future__ import annotations

import numpy as np
from rclpy.node import Node
from visualization_msgs.msg import MarkerArray

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.nodes.jerk_markers import TrailMarker, deleted, jerk_markers
from smoothvla_ros.smoothness import AlarmLevel, WatchedJerk

PERIOD_NS = 50_000_000  # 20 Hz is as much as an eye follows
STALE_NS = 1_000_000_000
_DEPTH = 5


class JerkView:
    """Keeps the trail of one robot and publishes the picture at 20 Hz while someone looks."""

    def __init__(self, node: Node, topic: str, arm: Arm, frame: str, full_scale: float) -> None:
        self._node = node
        self._arm = arm
        self._frame = frame
        self._trail = TrailMarker(full_scale)
        self._drawn_ns = self._heard_ns = 0
        self._shown = ''
        self._newest: tuple[np.ndarray, np.ndarray, str] | None = None
        self._publisher = node.create_publisher(MarkerArray, topic, _DEPTH)

    def reset(self) -> None:
        """Take everything away: another episode begins."""
        self._trail.clear()
        self._newest = None
        self._publisher.publish(deleted(self._frame))

    def add(self, positions: np.ndarray, watched: WatchedJerk, level: AlarmLevel) -> None:
        """Take the newest sample's joint positions [n] rad and what was estimated of them."""
        tool = self._arm.tool_pose(positions)[0]
        jerk = float(np.linalg.norm(watched.estimate.newest_tool_jerk[:3]))
        self._trail.add(tool, jerk)
        self._heard_ns = self._now_ns()
        self._newest = (positions, watched.share_of_limit, f'{jerk:.3g} m/s³ {level.name}')

    def draw(self) -> None:
        """Publish the picture if it is time, and say so when it has become old."""
        now = self._now_ns()
        if self._newest is None or 0 <= now - self._drawn_ns < PERIOD_NS:
            return
        if not self._publisher.get_subscription_count():
            return
        positions, shares, text = self._newest
        if now - self._heard_ns > STALE_NS:
            text = 'stale'
            if self._shown == text:
                return
        self._drawn_ns, self._shown = now, text
        self._publisher.publish(
            jerk_markers(
                self._frame,
                self._node.get_clock().now().to_msg(),
                self._trail,
                self._arm.joint_origins(positions),
                shares,
                text,
                self._arm.tool_pose(positions)[0],
            )
        )

    def _now_ns(self) -> int:
        return self._node.get_clock().now().nanoseconds
