"""Whether an arm can be taken over where it is, and in how long a controller gets there."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.control.motion_guard.guard_inputs import GuardInputs
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.motion import least_duration_s
from smoothvla_ros.control.motion_guard.profile import followable
from smoothvla_ros.control.motion_guard.watchdogs import Trip, WatchdogLimits, ahead
from smoothvla_ros.kinematics.joint_limits import JointLimits

# How far from the arm a controller may have been left, in tracking errors that are a fault: the
# stop that follows the fault goes on for about as far again.
_FARTHEST_LEFT = 2.0


class Arming:
    """The rules of one arm."""

    def __init__(
        self,
        settings: GuardSettings,
        limits: JointLimits,
        watchdog_limits: WatchdogLimits,
        period_s: float,
    ) -> None:
        """period_s: of a tick, s."""
        self._settings = settings
        self._limits = limits
        self._watchdog_limits = watchdog_limits
        self._period_s = period_s
        self._followable = followable(limits, self._period_s)

    def refusal(self, now_ns: int, heard: GuardInputs) -> str:
        """Return why an arm is not taken over as it was last heard of, or an empty string."""
        measured = heard.measured
        if measured is None or heard.joints_age_s(now_ns) > (
            self._watchdog_limits.joint_states_timeout_s
        ):
            return f'{Trip.NO_JOINT_STATES}{ahead(heard.ahead_s)}'
        if ((measured.joints < self._limits.lower) | (measured.joints > self._limits.upper)).any():
            return f'a joint is outside of its range: {np.round(measured.joints, 3).tolist()}'
        if measured.speed > self._settings.max_arming_speed_rad_s:
            return (
                f'the arm moves, a joint at {measured.speed:.2f} rad/s, more than '
                f'max_arming_speed_rad_s={self._settings.max_arming_speed_rad_s:g}'
            )
        return ''

    def settling_s(self, joints: np.ndarray, last: np.ndarray | None) -> float:
        """Return the time in which a controller comes from what it was last told to `joints`, s.

        joints: [n] rad, where the arm is.  last: [n] rad, where the controller was left; None: by a
        guard that is no more. It may have been left pushing against something, far from the arm.
        """
        if last is not None:
            distance = np.abs(joints - last)
        else:
            farthest = _FARTHEST_LEFT * self._watchdog_limits.max_tracking_error_rad
            distance = np.minimum(farthest, self._limits.upper - self._limits.lower)
        least_s = least_duration_s(distance, self._followable, joints) + self._settings.transport_s
        return max(self._settings.settle_s, least_s + self._period_s)
