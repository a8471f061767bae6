"""One robot of the viewer: what arrived of it becomes what is shown of it, at a bounded rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import EpisodePhase
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECONDS, period_ns, to_nanoseconds
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.image_conversion import to_image_array
from smoothvla_ros.nodes.topics.messages import from_episode_state
from smoothvla_ros.nodes.topics.quality_of_service import (
    DRAINED_DEPTH,
    SHARED_DEPTH,
    Profiles,
    with_depth,
)
from smoothvla_ros.nodes.topics.robot_names import robot_topic
from smoothvla_ros.viewer.robot_scene import ALARM, OK, STALE, WARNING, Reading, RobotScene

STALE_NS = NANOSECONDS
_LEVELS = {
    msg.JerkState.LEVEL_OK: OK,
    msg.JerkState.LEVEL_WARNING: WARNING,
    msg.JerkState.LEVEL_ALARM: ALARM,
    msg.JerkState.LEVEL_UNKNOWN: STALE,
}


class ViewedRobot:
    """Empties the queues of a robot's topics into its scene."""

    def __init__(
        self,
        node: Node,
        name: str,
        scene: RobotScene,
        joints: Sequence[str],
        cameras: Sequence[str],
        quality: Profiles,
        draw_hz: float,
        image_hz: float,
        joint_states: str,
    ) -> None:
        """joints: of the arm, in its order.  draw_hz, image_hz: most pictures a second."""
        self._node = node
        self._scene = scene
        self._joints = tuple(joints)
        self._draw_ns, self._image_ns = map(period_ns, (draw_hz, image_hz))
        self._drawn_ns: dict[str, int] = {}
        # Why a camera's images are not shown, said once.
        self._unusable: dict[str, str] = {}
        self._heard_ns = self._newest_ns = 0
        self._episode = ('', 0)

        def queue(message_type: type, topic: str, profile: QoSProfile) -> DrainedSubscription:
            return DrainedSubscription(node, message_type, f'{name}/{topic}', profile)

        self._states = queue(msg.EpisodeState, 'episode_state', quality.state)
        self._joint_states = DrainedSubscription(
            node,
            JointState,
            robot_topic(name, joint_states),
            with_depth(quality.joint_states, DRAINED_DEPTH),
        )
        self._jerk = queue(msg.JerkState, 'jerk', with_depth(quality.result, SHARED_DEPTH))
        self._commanded = queue(
            msg.JerkState, 'commanded_jerk', with_depth(quality.result, SHARED_DEPTH)
        )
        self._images = {
            camera: queue(Image, f'camera/{camera}/image_raw', with_depth(quality.image, 1))
            for camera in cameras
        }

    def draw(self) -> None:
        """Show what arrived since the last time."""
        for state in self._states.take_all():
            self._begin(state)
        for joints in self._joint_states.take_all():
            self._move(joints)
        self._show_jerk()
        for camera, queue in self._images.items():
            for image in queue.take_all():
                stamp_ns = to_nanoseconds(image.header.stamp)
                if self._due(camera, stamp_ns, self._image_ns):
                    self._show_image(camera, stamp_ns, image)
        silent_ns = self._node.get_clock().now().nanoseconds - self._heard_ns
        if self._heard_ns and silent_ns > STALE_NS:
            self._scene.stale(self._newest_ns + STALE_NS)

    def _show_image(self, camera: str, stamp_ns: int, message: Image) -> None:
        try:
            image = to_image_array(message)
        except UserError as error:
            if self._unusable.get(camera) != str(error):
                self._scene.say(stamp_ns, f'{camera}: {error}', 'WARN')
            self._unusable[camera] = str(error)
            return
        self._scene.image(camera, stamp_ns, image)

    def _begin(self, message: msg.EpisodeState) -> None:
        state = from_episode_state(message)
        episode = (state.episode_id, state.attempt)
        if state.phase is EpisodePhase.RUNNING and episode != self._episode:
            self._episode = episode
            self._scene.begin(state.first_stamp_ns, f'{state.episode_id}: {state.instruction}')
        elif state.phase is EpisodePhase.FINISHED:
            outcome = 'success' if state.success else 'no success'
            self._scene.say(state.last_stamp_ns, f'{state.episode_id}: {outcome}')

    def _move(self, message: JointState) -> None:
        stamp_ns = to_nanoseconds(message.header.stamp)
        positions = dict(zip(message.name, message.position, strict=False))
        if any(name not in positions for name in self._joints):
            return
        self._heard_ns = self._node.get_clock().now().nanoseconds
        self._newest_ns = stamp_ns
        self._scene.remember(stamp_ns, np.array([positions[name] for name in self._joints]))
        if self._due('joints', stamp_ns, self._draw_ns):
            self._scene.joints(stamp_ns, positions)

    def _show_jerk(self) -> None:
        """Show the roughest estimate that came: no peak is lost, however seldom is drawn."""
        readings = _live(self._jerk)
        for reading in readings:
            self._scene.note_level(reading)
        if readings:
            self._scene.draw(max(readings, key=lambda reading: reading.tool_jerk))
        commanded = _live(self._commanded)
        if commanded:
            self._scene.commanded(max(commanded, key=lambda reading: reading.tool_jerk))

    def _due(self, what: str, stamp_ns: int, period_ns: int) -> bool:
        last = self._drawn_ns.get(what, -period_ns)
        # A stamp before the last one: the clock was set back, or a bag began anew.
        if 0 <= stamp_ns - last < period_ns:
            return False
        self._drawn_ns[what] = stamp_ns
        return True


def _live(queue: DrainedSubscription) -> list[Reading]:
    return [reading_of(message) for message in queue.take_all() if not message.episode_finished]


def reading_of(message: msg.JerkState) -> Reading:
    """Return what a JerkState says."""
    return Reading(
        stamp_ns=to_nanoseconds(message.estimate_stamp),
        tool_jerk=message.tool_jerk,
        newest_tool_jerk=message.newest_tool_jerk,
        joint_jerk=np.array(message.joint_jerk),
        level=_LEVELS[message.level],
        warning=message.warning,
        alarm=message.alarm,
        limits=np.array(message.joint_limits) if message.joint_limits else None,
    )
