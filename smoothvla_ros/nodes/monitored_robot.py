"""One robot of the jerk monitor: samples in, JerkState out."""

from __future__ import annotations

import math
import time

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.node import Node
from std_msgs.msg import Float32

from smoothvla_ros import msg
from smoothvla_ros.control.episode_samples import Begun, Closed, EpisodeSamples, Event, Sample
from smoothvla_ros.control.lock_step import NANOSECONDS, EpisodeState
from smoothvla_ros.control.motion_guard.robot import RobotDescription
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.nodes.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.jerk_monitor_config import MEASURED, JerkMonitorConfig
from smoothvla_ros.nodes.jerk_view import JerkView
from smoothvla_ros.nodes.joint_state_stream import ArmSample, JointStateStream
from smoothvla_ros.nodes.messages import from_episode_state
from smoothvla_ros.nodes.quality_of_service import (
    DRAINED_DEPTH,
    SHARED_DEPTH,
    Graph,
    Profiles,
    with_depth,
)
from smoothvla_ros.nodes.robot_names import robot_topic
from smoothvla_ros.nodes.stamps import to_nanoseconds, to_stamp
from smoothvla_ros.smoothness import (
    AlarmLevel,
    AlarmSettings,
    EpisodeJerk,
    JerkWatch,
    WatchedJerk,
)
from smoothvla_ros.smoothness.stream_trouble import StreamTrouble

# std_msgs/Float32 for rqt_plot and PlotJuggler, which draw a topic and know nothing of JerkState.
CURVES = ('tool', 'tool_rotation', 'share_of_limit', 'at_seams', 'between_seams')
CURVE_DEPTH = 10
_SEVERITY = {
    AlarmLevel.OK: OK,
    AlarmLevel.UNKNOWN: OK,
    AlarmLevel.WARNING: WARNING,
    AlarmLevel.ALARM: ERROR,
}

_NO_NUMBERS = EpisodeJerk.unknown()


class MonitoredRobot:
    """Sorts a robot's samples into episodes and publishes their jerk.

    An episode's numbers are published once its last sample was seen. If samples are missing the
    numbers are NaN, and how many were missing is said instead.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: JerkMonitorConfig,
        robot: RobotDescription,
        arm: Arm,
        quality: Profiles,
        diagnostics: Diagnostics,
    ) -> None:
        self._name = name
        self._config = config
        self._topic = config.joint_states
        self._diagnostics = diagnostics
        self._joints = robot.joints
        self._frame = robot.base_frame
        self._limits = None if config.limits == 'none' else robot.limits(config.limits).jerk
        self._on_arm = Graph(config.graph) is Graph.REAL_ARM
        # An arm's stream has no episodes, and what happened an hour ago says nothing of now.
        self._statistics_s = config.statistics_s if self._on_arm else 0.0
        self._watch = JerkWatch(
            config,
            arm.jacobian,
            AlarmSettings(warning=config.warning, alarm=config.alarm, hold_s=config.window_s),
            config.encoder_step,
            np.array(robot.posture),
            self._limits,
            config.velocity_step,
            self._statistics_s or math.inf,
        )
        self._trouble = StreamTrouble(config.silence_s, time.monotonic(), config.joint_states)
        self._in_trouble = False
        self._unusable: set[str] = set()
        self._samples = EpisodeSamples()
        self._origin_ns = 0
        self._newest: tuple[Sample, WatchedJerk] | None = None
        self._published_ns = 0
        self._level = AlarmLevel.UNKNOWN
        self._off_rate = False
        self._message_kept = self._new_message()
        topic = f'{name}/{config.jerk}'
        self._publisher = node.create_publisher(msg.JerkState, topic, quality.result)
        self._curves = {
            curve: node.create_publisher(Float32, f'{topic}/{curve}', CURVE_DEPTH)
            for curve in CURVES
        }
        self._view = JerkView(node, f'{topic}_markers', arm, robot.base_frame, config.alarm)
        # It counts the samples of what was measured; another stream has no episodes.
        self._states = (
            DrainedSubscription(
                node,
                msg.EpisodeState,
                f'{name}/episode_state',
                with_depth(quality.state, SHARED_DEPTH),
            )
            if config.joint_states == MEASURED
            else None
        )
        self._chunks = DrainedSubscription(
            node, msg.ActionChunk, f'{name}/action_chunk', with_depth(quality.command, SHARED_DEPTH)
        )
        self._joint_states = JointStateStream(
            node,
            robot_topic(name, config.joint_states),
            with_depth(quality.joint_states, DRAINED_DEPTH),
            robot.joints,
            config.joint_states,
        )

    @property
    def samples(self) -> int:
        """Joint samples that were used since the episode began."""
        return self._watch.estimator.health.samples

    @property
    def until_news_s(self) -> float:
        """From the newest sample to the one that completes an estimate, s."""
        return self._watch.estimator.samples_to_estimate / self._config.rate_hz

    def drain(self) -> bool:
        """Work through what arrived, publish the newest numbers; return whether samples came."""
        self._newest = None
        for state in self._states.take_all() if self._states is not None else ():
            self._handle(self._samples.announce(from_episode_state(state)))
        for chunk in self._chunks.take_all():
            self._chunk_begins(chunk)
        samples, unusable = self._joint_states.take_all()
        for sample in samples:
            self._handle(self._samples.add(sample.stamp_ns, sample))
        for reason in unusable:
            self._report_unusable(reason)
        if samples:
            self._trouble.heard(time.monotonic())
        if self._newest is not None:
            self._publish_live(*self._newest)
        self._report_rate()
        self._report_trouble()
        self._view.draw()
        return bool(samples)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Begun):
                self._watch.reset()
                self._view.reset()
                self._origin_ns = event.state.first_stamp_ns
            elif isinstance(event, Sample):
                self._add(event)
            elif isinstance(event, Closed):
                self._close(event)

    def _chunk_begins(self, chunk: msg.ActionChunk) -> None:
        """Note the seam where a chunk takes over; the first chunk joins nothing."""
        if self._origin_ns and chunk.chunk_index > 0 and not chunk.refusal:
            # An arm does not wait: a chunk takes over when it comes.
            stamp = chunk.header.stamp if self._on_arm else chunk.observation_stamp
            stamp_ns = to_nanoseconds(stamp)
            self._watch.seams.chunk_begins((stamp_ns - self._origin_ns) / NANOSECONDS)

    def _add(self, sample: Sample) -> None:
        if not self._origin_ns:
            self._origin_ns = sample.stamp_ns
        # Seconds since the episode began: Unix seconds would cost seven digits of the stamp.
        stamp = (sample.stamp_ns - self._origin_ns) / NANOSECONDS
        arm: ArmSample = sample.payload
        velocities = arm.velocities if self._config.velocity_step > 0.0 else None
        watched = self._watch.add(stamp, arm.positions, velocities)
        if watched is not None:
            self._newest = (sample, watched)
            self._trouble.measured(time.monotonic(), self._watch.estimator.health)

    def _publish_live(self, sample: Sample, watched: WatchedJerk) -> None:
        estimate = watched.estimate
        message = self._message(sample.state, sample.stamp_ns, self._watch.estimator.episode)
        centre_ns = self._origin_ns + round(estimate.centre_stamp_s * NANOSECONDS)
        message.estimate_stamp = to_stamp(centre_ns)
        message.tool_jerk = float(np.linalg.norm(estimate.tool_jerk[:3]))
        message.tool_angular_jerk = float(np.linalg.norm(estimate.tool_jerk[3:]))
        message.newest_tool_jerk = float(np.linalg.norm(estimate.newest_tool_jerk[:3]))
        message.joint_jerk = estimate.joint_jerk.tolist()
        self._publisher.publish(message)
        self._published_ns = sample.stamp_ns
        self._plot(message, watched)
        self._view.add(sample.payload.positions, watched, self._watch.level)
        self._report_level(watched)

    def _report_rate(self) -> None:
        """Say on /diagnostics that nothing can be measured because the declared rate is wrong."""
        rate_hz = self._watch.undeclared_rate.hz
        if (rate_hz is not None) is self._off_rate:
            return
        self._off_rate = rate_hz is not None
        part = f'{self._name} rate'
        if rate_hz is None:
            self._diagnostics.report(part, OK, f'{self._topic} come at rate_hz')
        else:
            self._diagnostics.report(
                part,
                WARNING,
                f'no jerk is measured: {self._topic} come at {rate_hz:.4g} Hz, but rate_hz is '
                f'{self._config.rate_hz:g}; set rate_hz to theirs',
            )

    def _report_unusable(self, reason: str) -> None:
        """Say once what is wrong with messages: at 1 kHz every one would flood."""
        if reason not in self._unusable:
            self._unusable.add(reason)
            self._diagnostics.report(self._name, ERROR, reason)

    def _report_trouble(self) -> None:
        """Say on /diagnostics why nothing is measured, and withdraw the level of what ended."""
        # In lock-step a robot rests for as long as the trainer learns.
        if not self._on_arm:
            return
        trouble = self._trouble.reason(time.monotonic(), self._watch.estimator.health)
        if bool(trouble) is self._in_trouble:
            return
        self._in_trouble = bool(trouble)
        part = f'{self._name} {self._topic}'
        if not trouble:
            self._diagnostics.report(part, OK, 'heard')
            # What was drawn is of before the silence.
            self._view.reset()
            return
        self._watch.withdraw_level()
        self._level = AlarmLevel.UNKNOWN
        if self._published_ns:
            # Whoever goes by the last JerkState must not take its level for a present one.
            self._publisher.publish(self._message(None, self._published_ns, _NO_NUMBERS))
        self._diagnostics.report(part, WARNING, trouble)
        self._diagnostics.report(f'{self._name} jerk', WARNING, 'jerk UNKNOWN', measured=True)

    def _plot(self, message: msg.JerkState, watched: WatchedJerk) -> None:
        looked_at = [
            c for c, publisher in self._curves.items() if publisher.get_subscription_count()
        ]
        if not looked_at:
            return
        values = {
            'tool': message.tool_jerk,
            'tool_rotation': message.tool_angular_jerk,
            'share_of_limit': float(watched.share_of_limit.max()),
            'at_seams': self._watch.seams.at.mean_jerk,
            'between_seams': self._watch.seams.between.mean_jerk,
        }
        for curve in looked_at:
            if math.isfinite(values[curve]):
                self._curves[curve].publish(Float32(data=values[curve]))

    def _report_level(self, watched: WatchedJerk) -> None:
        """Say on /diagnostics when the level changes, and which joint is nearest to its limit."""
        level = self._watch.level
        if level is self._level:
            return
        self._level = level
        newest = np.linalg.norm(watched.estimate.newest_tool_jerk[:3])
        text = f'jerk {level.name}: tool {newest:.3g} m/s^3'
        if not np.isnan(watched.share_of_limit).all():
            joint = int(np.argmax(watched.share_of_limit))
            share = watched.share_of_limit[joint]
            text += f', {self._joints[joint]} at {share:.0%} of its {self._config.limits} limit'
        self._diagnostics.report(f'{self._name} jerk', _SEVERITY[level], text, measured=True)

    def _close(self, closed: Closed) -> None:
        missing = closed.missing + self._watch.estimator.health.rejected
        numbers = self._watch.estimator.whole_episode() if not missing else _NO_NUMBERS
        message = self._message(closed.state, closed.state.last_stamp_ns, numbers)
        message.episode_finished = True
        message.missing = missing
        message.samples = closed.state.samples - missing
        self._publisher.publish(message)
        if missing:
            text = f'{closed.state.episode_id}: {missing} of {closed.state.samples} samples missing'
            self._diagnostics.report(self._name, WARNING, text)
        else:
            text = f'{closed.state.episode_id}: mean jerk {numbers.mean_jerk:.3g} m/s^3'
            self._diagnostics.report(self._name, OK, text)
        self._newest = None

    def _message(
        self, state: EpisodeState | None, stamp_ns: int, numbers: EpisodeJerk
    ) -> msg.JerkState:
        """Return what is published next, with everything in it that changes; no jerk yet."""
        health, message = self._watch.estimator.health, self._message_kept
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
        message.level = int(self._watch.level)
        return message

    def _new_message(self) -> msg.JerkState:
        """Return what never changes."""
        message = msg.JerkState(
            robot=self._name,
            rate_hz=self._config.rate_hz,
            window_s=self._config.window_s,
            order=self._config.order,
            joint_names=list(self._joints),
            statistics_s=self._statistics_s,
            noise_floor=self._watch.noise_floor,
            warning=self._config.warning,
            alarm=self._config.alarm,
            joint_limits=[] if self._limits is None else self._limits.tolist(),
        )
        message.header.frame_id = self._frame
        return message
