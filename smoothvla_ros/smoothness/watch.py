"""Everything that is said live about the jerk of one robot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.smoothness.alarm import NOISE_MARGIN, Alarm, AlarmLevel, AlarmSettings
from smoothvla_ros.smoothness.episode_jerk import EpisodeJerk
from smoothvla_ros.smoothness.estimator import EstimatorSettings
from smoothvla_ros.smoothness.live import JerkEstimate, JerkEstimator
from smoothvla_ros.smoothness.noise import joint_noise_floor, tool_noise_floor, velocity_weight
from smoothvla_ros.smoothness.seams import SeamJerk
from smoothvla_ros.smoothness.stream_rate import UndeclaredRate
from smoothvla_ros.smoothness.tool_jerk import Jacobian

# Of a joint's limit: the most nervous joint warns at half of it.
_SHARE_WARNING, _SHARE_ALARM = 0.5, 1.0
_WINDOWS_OF_SILENCE = 4.0


@dataclass(frozen=True)
class WatchedJerk:
    """The newest estimate, and what follows from it.

    share_of_limit: [n], newest joint jerk over its limit; NaN where the joint has none.
    """

    estimate: JerkEstimate
    share_of_limit: np.ndarray

    @property
    def greatest_share(self) -> float:
        """Of a joint that has a limit; NaN where none has."""
        joint = self.nearest_joint
        return math.nan if joint is None else float(self.share_of_limit[joint])

    @property
    def nearest_joint(self) -> int | None:
        """Which joint is nearest to its limit; None where none has one."""
        return (
            None if np.isnan(self.share_of_limit).all() else int(np.nanargmax(self.share_of_limit))
        )


class JerkWatch:
    """Estimates one robot's jerk, holds it against its limits, and keeps seams apart."""

    def __init__(
        self,
        settings: EstimatorSettings,
        jacobian: Jacobian,
        alarm: AlarmSettings,
        encoder_step: float,
        rest: np.ndarray,
        limits: np.ndarray | None = None,
        velocity_step: float = 0.0,
        statistics_s: float = math.inf,
        turning: np.ndarray | None = None,
    ) -> None:
        """Take the limits, and make sure that the noise alone does not reach them.

        alarm: of the tool's jerk, m/s^3.  encoder_step: rad.  limits: [n] rad/s^3 or None.
        rest: [n] rad, a usual posture, where the noise of the tool is taken.
        velocity_step: rad/s, the resolution of velocities that are fitted along; 0 takes none.
        statistics_s, turning: as for `JerkEstimator`.
        Raises UserError where a threshold lies below five times the noise of the newest sample.
        """
        floor, _ = tool_noise_floor(
            settings, encoder_step, jacobian(rest), newest=True, velocity_step=velocity_step
        )
        alarm.require_above_noise(floor)
        if limits is not None:
            joint_floor = joint_noise_floor(settings, encoder_step, True, velocity_step)
            lowest = _SHARE_WARNING * float(np.min(limits))
            if lowest < NOISE_MARGIN * joint_floor:
                raise UserError(
                    f'jerk alarm: half of the lowest joint limit, {lowest:.3g} rad/s^3, is below '
                    f'{NOISE_MARGIN:g} times the noise floor of {joint_floor:.3g}; '
                    'widen the window or leave the limits out'
                )
        self.noise_floor, _ = tool_noise_floor(
            settings, encoder_step, jacobian(rest), velocity_step=velocity_step
        )
        self.estimator = JerkEstimator(
            settings,
            jacobian,
            stride=settings.read_stride,
            velocity_weight_s=velocity_weight(encoder_step, velocity_step),
            statistics_s=statistics_s,
            turning=turning,
        )
        self.seams = SeamJerk(
            settings.window_s, settings.read_stride * settings.period_s, statistics_s
        )
        self.undeclared_rate = UndeclaredRate(_WINDOWS_OF_SILENCE * settings.window_s)
        self._limits = limits
        self._tool_alarm = Alarm(alarm)
        self._joint_alarm = Alarm(
            AlarmSettings(warning=_SHARE_WARNING, alarm=_SHARE_ALARM, hold_s=alarm.hold_s)
        )

    def reset(self) -> None:
        """Begin a new episode."""
        self.estimator.reset()
        self.seams.reset()
        self.undeclared_rate.reset()
        self._tool_alarm.reset()
        self._joint_alarm.reset()

    def withdraw_level(self) -> None:
        """Say UNKNOWN until the next estimate: what is not heard is neither rough nor smooth."""
        self._tool_alarm.reset()
        self._joint_alarm.reset()

    def of_episode(self, missing: int) -> tuple[EpisodeJerk, int]:
        """Return the numbers of an episode that ended, and how many samples they lack.

        missing: samples that did not come; those that were not finite are added. Numbers of a part
        of an episode would pass for its own, so they are unknown if any is lacking.
        """
        lacking = missing + self.estimator.rejected
        return (EpisodeJerk.unknown() if lacking else self.estimator.whole_episode()), lacking

    @property
    def level(self) -> AlarmLevel:
        """The higher of the tool's and the joints' level; UNKNOWN before the first estimate."""
        levels = [self._tool_alarm.level]
        if self._limits is not None:
            levels.append(self._joint_alarm.level)
        return max(levels)

    def add(
        self,
        stamp_s: float,
        joint_positions: np.ndarray,
        joint_velocities: np.ndarray | None = None,
    ) -> WatchedJerk | None:
        """Take one sample; None where it completes no estimate.  As `JerkEstimator.add`."""
        rejected = self.estimator.rejected
        estimate = self.estimator.add(stamp_s, joint_positions, joint_velocities)
        if self.estimator.rejected == rejected:
            self.undeclared_rate.add(stamp_s, estimate is not None)
        if estimate is None:
            return None
        self._tool_alarm.update(stamp_s, estimate.newest_tool_jerk)
        share = np.full(len(estimate.joint_jerk), np.nan)
        if self._limits is not None:
            share = np.abs(estimate.newest_joint_jerk) / self._limits
            self._joint_alarm.update(stamp_s, float(share.max()))
        self.seams.add(estimate.centre_stamp_s, estimate.tool_screw_jerk)
        return WatchedJerk(estimate, share)
