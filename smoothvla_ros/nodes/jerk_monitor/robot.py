"""One robot of the jerk monitor: samples in, JerkState out."""

from __future__ import annotations

import math
import time

import numpy as np
from rclpy.node import Node
from std_msgs.msg import Float32

from smoothvla_ros import msg
from smoothvla_ros.control.monitoring.episode_samples import (
    Begun,
    Closed,
    EpisodeSamples,
    Sample,
    SampleEvent,
)
from smoothvla_ros.control.monitoring.motion_time import MotionTime
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import Diagnostics
from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig
from smoothvla_ros.nodes.jerk_monitor.marker_view import JerkView
from smoothvla_ros.nodes.jerk_monitor.messages import JerkMessages
from smoothvla_ros.nodes.jerk_monitor.reports import JerkReports
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.joint_state_stream import ArmSample, JointStateStream
from smoothvla_ros.nodes.topics.messages import from_episode_state
from smoothvla_ros.nodes.topics.quality_of_service import (
    DRAINED_DEPTH,
    SHARED_DEPTH,
    Graph,
    Profiles,
    with_depth,
)
from smoothvla_ros.nodes.topics.robot_names import MEASURED, robot_topic
from smoothvla_ros.smoothness import AlarmSettings, JerkWatch, WatchedJerk
from smoothvla_ros.smoothness.stream_trouble import StreamTrouble

# std_msgs/Float32 for rqt_plot and PlotJuggler, which draw a topic and know nothing of JerkState.
CURVES = ('tool', 'tool_rotation', 'share_of_limit', 'at_seams', 'between_seams')
CURVE_DEPTH = 10


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
        self._config = config
        limits = None if config.limits == 'none' else robot.limits(config.limits).jerk
        self._on_arm = Graph(config.graph) is Graph.REAL_ARM
        # An arm's stream has no episodes, and what happened an hour ago says nothing of now.
        statistics_s = config.statistics_s if self._on_arm else 0.0
        self._watch = JerkWatch(
            config,
            arm.jacobian,
            AlarmSettings(warning=config.warning, alarm=config.alarm, hold_s=config.window_s),
            config.encoder_step,
            np.array(robot.posture),
            limits,
            config.velocity_step,
            statistics_s or math.inf,
            arm.turning,
        )
        self._trouble = StreamTrouble(config.silence_s, time.monotonic(), config.joint_states)
        self._in_trouble = False
        self._samples = EpisodeSamples()
        self._time = MotionTime()
        self._newest: tuple[Sample, WatchedJerk] | None = None
        self._published_ns = 0
        self._reports = JerkReports(diagnostics, name, robot.joints, config)
        self._messages = JerkMessages(
            name,
            robot.base_frame,
            robot.joints,
            config,
            limits,
            statistics_s,
            self._watch.noise_floor,
        )
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
        return self._watch.estimator.until_estimate_s

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
        self._reports.messages(unusable, len(samples), time.monotonic())
        if samples:
            self._trouble.heard(time.monotonic())
        if self._newest is not None:
            self._publish_live(*self._newest)
        self._reports.rate(self._watch.undeclared_rate.hz)
        self._look_for_trouble()
        self._view.draw()
        return bool(samples)

    def _handle(self, events: list[SampleEvent]) -> None:
        for event in events:
            if isinstance(event, Begun):
                self._watch.reset()
                self._view.reset()
                self._time.begin(event.state.first_stamp_ns)
            elif isinstance(event, Sample):
                self._add(event)
            elif isinstance(event, Closed):
                self._close(event)

    def _chunk_begins(self, chunk: msg.ActionChunk) -> None:
        """Note the seam where a chunk takes over; the first chunk joins nothing."""
        if self._time.has_begun and chunk.chunk_index > 0 and not chunk.refusal:
            # An arm does not wait: a chunk takes over when it comes.
            stamp = chunk.header.stamp if self._on_arm else chunk.observation_stamp
            self._watch.seams.chunk_begins(self._time.seconds(to_nanoseconds(stamp)))

    def _add(self, sample: Sample) -> None:
        if not self._time.has_begun:
            self._time.begin(sample.stamp_ns)
        stamp_s = self._time.seconds(sample.stamp_ns)
        arm: ArmSample = sample.payload
        velocities = arm.velocities if self._config.velocity_step > 0.0 else None
        watched = self._watch.add(stamp_s, arm.positions, velocities)
        if watched is not None:
            self._newest = (sample, watched)
            self._trouble.measured(time.monotonic(), self._watch.estimator.health)

    def _publish_live(self, sample: Sample, watched: WatchedJerk) -> None:
        estimate = watched.estimate
        centre_ns = self._time.stamp_ns(estimate.centre_stamp_s)
        self._publisher.publish(
            self._messages.live(self._watch, sample.state, sample.stamp_ns, estimate, centre_ns)
        )
        self._published_ns = sample.stamp_ns
        self._plot(watched)
        self._view.add(sample.payload.positions, watched, self._watch.level)
        self._reports.level(self._watch.level, watched)

    def _look_for_trouble(self) -> None:
        """Say why nothing is measured, and withdraw the level of a stream that ended."""
        # In lock-step a robot rests for as long as the trainer learns.
        if not self._on_arm:
            return
        trouble = self._trouble.reason(time.monotonic(), self._watch.estimator.health)
        if bool(trouble) is self._in_trouble:
            return
        self._in_trouble = bool(trouble)
        if not trouble:
            # What was drawn is of before the silence.
            self._view.reset()
        else:
            self._watch.withdraw_level()
            if self._published_ns:
                # Whoever goes by the last JerkState must not take its level for a present one.
                self._publisher.publish(self._messages.unknown(self._watch, self._published_ns))
        self._reports.trouble(trouble)

    def _plot(self, watched: WatchedJerk) -> None:
        looked_at = [
            c for c, publisher in self._curves.items() if publisher.get_subscription_count()
        ]
        if not looked_at:
            return
        values = {
            'tool': watched.estimate.tool_jerk,
            'tool_rotation': watched.estimate.tool_angular_jerk,
            'share_of_limit': watched.greatest_share,
            'at_seams': self._watch.seams.at.mean_jerk,
            'between_seams': self._watch.seams.between.mean_jerk,
        }
        for curve in looked_at:
            if math.isfinite(values[curve]):
                self._curves[curve].publish(Float32(data=values[curve]))

    def _close(self, closed: Closed) -> None:
        numbers, missing = self._watch.of_episode(closed.missing)
        self._publisher.publish(
            self._messages.of_episode(self._watch, closed.state, numbers, missing)
        )
        self._reports.episode(closed.state, numbers.mean_jerk, missing)
        self._newest = None
