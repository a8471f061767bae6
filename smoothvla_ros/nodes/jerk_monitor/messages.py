"""JerkState messages: what never changes is filled in once, the rest for every message."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Time

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import EpisodeState
from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.smoothness import EpisodeJerk, JerkEstimate, JerkWatch

_NO_NUMBERS = EpisodeJerk.unknown()


class JerkMessages:
    """Makes one robot's messages, all of them in one that is kept: a new one costs more.

    A message is to be published before the next is made.
    """

    def __init__(
        self,
        robot: str,
        frame: str,
        joints: Sequence[str],
        config: JerkMonitorConfig,
        limits: np.ndarray | None,
        statistics_s: float,
        noise_floor: float,
    ) -> None:
        """limits: of the joints' jerk, [n] rad/s^3.  noise_floor: of the tool's, m/s^3."""
        self._message = msg.JerkState(
            robot=robot,
            rate_hz=config.rate_hz,
            window_s=config.window_s,
            order=config.order,
            joint_names=list(joints),
            statistics_s=statistics_s,
            noise_floor=noise_floor,
            warning=config.warning,
            alarm=config.alarm,
            joint_limits=[] if limits is None else limits.tolist(),
        )
        self._message.header.frame_id = frame

    def live(
        self,
        watch: JerkWatch,
        state: EpisodeState | None,
        stamp_ns: int,
        estimate: JerkEstimate,
        estimate_stamp_ns: int,
    ) -> msg.JerkState:
        """Return what is said of the newest estimate; stamp_ns: of its newest sample."""
        message = self._filled(watch, state, stamp_ns, watch.estimator.episode)
        message.estimate_stamp = to_stamp(estimate_stamp_ns)
        message.tool_jerk = estimate.tool_jerk
        message.tool_angular_jerk = estimate.tool_angular_jerk
        message.newest_tool_jerk = estimate.newest_tool_jerk
        message.joint_jerk = estimate.joint_jerk.tolist()
        return message

    def of_episode(
        self, watch: JerkWatch, state: EpisodeState, numbers: EpisodeJerk, missing: int
    ) -> msg.JerkState:
        """Return what is said of an episode that ended; missing: of its samples."""
        message = self._filled(watch, state, state.last_stamp_ns, numbers)
        message.episode_finished = True
        message.missing = missing
        message.samples = state.samples - missing
        return message

    def unknown(self, watch: JerkWatch, stamp_ns: int) -> msg.JerkState:
        """Return what is said once nothing is heard any more."""
        return self._filled(watch, None, stamp_ns, _NO_NUMBERS)

    def _filled(
        self, watch: JerkWatch, state: EpisodeState | None, stamp_ns: int, numbers: EpisodeJerk
    ) -> msg.JerkState:
        """Return the message with everything in it that changes; no jerk yet."""
        health, message = watch.estimator.health, self._message
        message.header.stamp = to_stamp(stamp_ns)
        message.episode_id = state.episode_id if state is not None else ''
        message.attempt = state.attempt if state is not None else 0
        message.estimate_stamp = Time()
        message.tool_jerk = message.tool_angular_jerk = message.newest_tool_jerk = math.nan
        message.joint_jerk = []
        message.episode_finished = False
        message.episode_mean_jerk = numbers.mean_jerk
        message.episode_rms_jerk = numbers.rms_jerk
        message.episode_peak_jerk = numbers.peak_jerk
        message.episode_mean_angular_jerk = numbers.mean_angular_jerk
        message.episode_rms_angular_jerk = numbers.rms_angular_jerk
        message.episode_peak_angular_jerk = numbers.peak_angular_jerk
        message.episode_ldlj = numbers.ldlj
        message.episode_sparc = numbers.sparc
        message.samples = health.samples
        message.missing = health.missing
        message.level = int(watch.level)
        return message
