"""One robot of the jerk monitor: samples in, JerkState out."""

from __future__ import annotations

import math

import numpy as np
from rclpy.node import Node
from sensor_msgs.msg import JointState

from smoothvla_ros import msg
from smoothvla_ros.control.episode_samples import Begun, Closed, EpisodeSamples, Event, Sample
from smoothvla_ros.control.lock_step import NANOSECONDS, EpisodeState
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.nodes.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.messages import from_episode_state
from smoothvla_ros.nodes.quality_of_service import (
    DRAINED_DEPTH,
    SHARED_DEPTH,
    Profiles,
    with_depth,
)
from smoothvla_ros.nodes.robot_names import PANDA_BASE_FRAME
from smoothvla_ros.nodes.stamps import to_nanoseconds, to_stamp
from smoothvla_ros.smoothness import (
    Alarm,
    AlarmSettings,
    EpisodeJerk,
    EstimatorSettings,
    JerkEstimate,
    JerkEstimator,
    tool_noise_floor,
)

_NO_NUMBERS = EpisodeJerk(0, *[math.nan] * 6)


class MonitoredRobot:
    """Sorts a robot's samples into episodes and publishes their jerk.

    An episode's numbers are published once its last sample was seen. If samples are missing the
    numbers are NaN, and how many were missing is said instead.
    """

    def __init__(
        self,
        node: Node,
        name: str,
        config: EstimatorSettings,
        arm: Arm,
        quality: Profiles,
        diagnostics: Diagnostics,
    ) -> None:
        self._name = name
        self._config = config
        self._diagnostics = diagnostics
        self._joints = tuple(config.arm_joints)
        self._arm = arm
        self._estimator = JerkEstimator(config, arm.jacobian)
        self._alarm = Alarm(AlarmSettings(warning=config.warning, alarm=config.alarm))
        self._samples = EpisodeSamples()
        self._origin_ns = 0
        self._newest: tuple[Sample, JerkEstimate] | None = None
        self._noise_floor = math.nan
        self._publisher = node.create_publisher(msg.JerkState, f'{name}/jerk', quality.result)
        self._states = DrainedSubscription(
            node, msg.EpisodeState, f'{name}/episode_state', with_depth(quality.state, SHARED_DEPTH)
        )
        self._joint_states = DrainedSubscription(
            node,
            JointState,
            f'{name}/joint_states',
            with_depth(quality.joint_states, DRAINED_DEPTH),
        )

    def drain(self) -> None:
        """Work through everything that arrived and publish the newest numbers."""
        self._newest = None
        for state in self._states.take_all():
            self._handle(self._samples.announce(from_episode_state(state)))
        for joints in self._joint_states.take_all():
            try:
                positions = self._positions(joints)
            except UserError as error:
                self._diagnostics.report(self._name, ERROR, str(error))
                continue
            stamp = to_nanoseconds(joints.header.stamp)
            self._handle(self._samples.add(stamp, positions))
        if self._newest is not None:
            self._publish_live(*self._newest)

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Begun):
                self._estimator.reset()
                self._alarm.reset()
                self._origin_ns = event.state.first_stamp_ns
            elif isinstance(event, Sample):
                self._add(event)
            elif isinstance(event, Closed):
                self._close(event)

    def _add(self, sample: Sample) -> None:
        if not self._origin_ns:
            self._origin_ns = sample.stamp_ns
        # Seconds since the episode began: Unix seconds would cost seven digits of the stamp.
        stamp = (sample.stamp_ns - self._origin_ns) / NANOSECONDS
        estimate = self._estimator.add(stamp, sample.payload)
        if math.isnan(self._noise_floor) and np.isfinite(sample.payload).all():
            jacobian = self._arm.jacobian(sample.payload)
            self._noise_floor, _ = tool_noise_floor(
                self._config, self._config.encoder_step, jacobian
            )
        if estimate is not None:
            self._alarm.update(stamp, float(np.linalg.norm(estimate.newest_tool_jerk[:3])))
            self._newest = (sample, estimate)

    def _publish_live(self, sample: Sample, estimate: JerkEstimate) -> None:
        message = self._message(sample.state, sample.stamp_ns, self._estimator.episode)
        centre_ns = self._origin_ns + round(estimate.centre_stamp_s * NANOSECONDS)
        message.estimate_stamp = to_stamp(centre_ns)
        message.tool_jerk = float(np.linalg.norm(estimate.tool_jerk[:3]))
        message.tool_angular_jerk = float(np.linalg.norm(estimate.tool_jerk[3:]))
        message.joint_jerk = estimate.joint_jerk.tolist()
        self._publisher.publish(message)

    def _close(self, closed: Closed) -> None:
        missing = closed.missing + self._estimator.health.rejected
        numbers = self._estimator.episode if not missing else _NO_NUMBERS
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
        health = self._estimator.health
        message = msg.JerkState(
            robot=self._name,
            episode_id=state.episode_id if state is not None else '',
            attempt=state.attempt if state is not None else 0,
            rate_hz=self._config.rate_hz,
            window_s=self._config.window_s,
            order=self._config.order,
            tool_jerk=math.nan,
            tool_angular_jerk=math.nan,
            joint_names=list(self._joints),
            episode_mean_jerk=numbers.mean_jerk,
            episode_rms_jerk=numbers.rms_jerk,
            episode_peak_jerk=numbers.peak_jerk,
            episode_mean_angular_jerk=numbers.mean_angular_jerk,
            episode_rms_angular_jerk=numbers.rms_angular_jerk,
            episode_peak_angular_jerk=numbers.peak_angular_jerk,
            samples=health.samples,
            missing=health.missing,
            noise_floor=self._noise_floor,
            level=int(self._alarm.level),
        )
        message.header.stamp = to_stamp(stamp_ns)
        message.header.frame_id = PANDA_BASE_FRAME
        return message

    def _positions(self, message: JointState) -> np.ndarray:
        index = {name: i for i, name in enumerate(message.name)}
        missing = [name for name in self._joints if name not in index]
        if missing:
            raise UserError(
                f'joint_states has no joint {missing[0]!r}; set the parameter arm_joints'
            )
        return np.array(message.position)[[index[name] for name in self._joints]]
