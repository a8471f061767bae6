"""Why a motion is stopped although nothing was refused: one small rule each."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum

from smoothvla_ros.configuration import setting, validate


class Trip(StrEnum):
    """The reason of a stop, as GuardState and /diagnostics begin to say it."""

    CLOCK_WENT_BACK = 'the clock jumped back'
    OVERRUN = 'the loop is too late'
    NO_JOINT_STATES = 'no joint states'
    NO_HEARTBEAT = 'no heartbeat of the policy'
    NO_CHUNK = 'no chunk'
    TRACKING = 'the arm is not where it was commanded to be'
    MOVED = 'the arm moved while its command stood still'
    LAG = 'the motion lags behind what the policy asks for'


# A policy that pauses is no fault: the arm stops and waits for it. Everything else is latched.
PASSING = frozenset({Trip.NO_CHUNK})
# What a clock does that jumps.
JUMPS = frozenset({Trip.CLOCK_WENT_BACK, Trip.OVERRUN})


@dataclass(frozen=True)
class WatchdogLimits:
    """How long is too long, and how far is too far."""

    chunk_timeout_s: float = setting(0.5, 'Most time without an action to execute, s', minimum=0.0)
    joint_states_timeout_s: float = setting(0.1, 'Most age of joint_states, s', minimum=0.001)
    heartbeat_timeout_s: float = setting(
        0.5, "Most age of the policy's heartbeat, s; 0 asks for none", minimum=0.0
    )
    max_late_s: float = setting(
        0.05, 'Most that a tick may begin late before it is a fault, s', minimum=0.001
    )
    max_tracking_error_rad: float = setting(
        0.15, 'Most between commanded and measured joints, rad', minimum=0.001
    )
    max_rest_motion_rad: float = setting(
        0.01,
        'Most that a joint may move while the command stands still, rad',
        minimum=0.001,
    )
    max_lag_rad: float = setting(
        0.5, 'Most between what the policy asks for and what is commanded, rad', minimum=0.001
    )

    def __post_init__(self) -> None:
        validate(self, 'watchdog limits')


@dataclass(frozen=True)
class WatchdogInputs:
    """What the watchdogs look at, once a tick.

    since_last_tick_s: negative where the clock went back.  late_s: of this tick.  The ages are
    infinite where nothing ever came.  tracking_error_rad, lag_rad: the largest of a joint.
    rest_motion_rad: of a joint since the arm came to rest.
    joint_states_ahead_s: of a joint state that is not heard because it is of the future; or 0.
    """

    since_last_tick_s: float
    late_s: float
    joint_states_age_s: float
    heartbeat_age_s: float
    idle_s: float
    tracking_error_rad: float
    lag_rad: float
    joint_states_ahead_s: float = 0.0
    rest_motion_rad: float = 0.0


WatchdogRule = Callable[[WatchdogInputs, WatchdogLimits], bool]

RULES: dict[Trip, WatchdogRule] = {
    Trip.CLOCK_WENT_BACK: lambda pulse, _: pulse.since_last_tick_s < 0.0,
    Trip.OVERRUN: lambda pulse, limits: pulse.late_s > limits.max_late_s,
    # Written so that a NaN trips.
    Trip.NO_JOINT_STATES: lambda pulse, limits: (
        not pulse.joint_states_age_s <= limits.joint_states_timeout_s
    ),
    Trip.NO_HEARTBEAT: lambda pulse, limits: (
        limits.heartbeat_timeout_s > 0.0 and not pulse.heartbeat_age_s <= limits.heartbeat_timeout_s
    ),
    Trip.TRACKING: lambda pulse, limits: (
        not pulse.tracking_error_rad <= limits.max_tracking_error_rad
    ),
    Trip.MOVED: lambda pulse, limits: not pulse.rest_motion_rad <= limits.max_rest_motion_rad,
    Trip.LAG: lambda pulse, limits: not pulse.lag_rad <= limits.max_lag_rad,
    Trip.NO_CHUNK: lambda pulse, limits: pulse.idle_s > limits.chunk_timeout_s,
}


def _silence(age_s: float) -> str:
    return f'none for {age_s:.3f} s' if math.isfinite(age_s) else 'none ever came'


def ahead(ahead_s: float) -> str:
    """Return what a reason adds where joint states come and are of the future, by so much."""
    if not ahead_s:
        return ''
    return f', the newest is stamped {ahead_s:.3f} s later than now (max_clock_difference_s)'


# What was measured, and the limit that it is beyond.
_MEASURED: dict[Trip, Callable[[WatchdogInputs, WatchdogLimits], str]] = {
    Trip.CLOCK_WENT_BACK: lambda pulse, _: f'by {-pulse.since_last_tick_s:.3f} s',
    Trip.OVERRUN: lambda pulse, limits: (
        f'a tick was {pulse.late_s:.3f} s late, max_late_s={limits.max_late_s:g}: too many '
        'programs for this machine, or its clock was set ahead'
    ),
    Trip.NO_JOINT_STATES: lambda pulse, limits: (
        f'{_silence(pulse.joint_states_age_s)}, '
        f'joint_states_timeout_s={limits.joint_states_timeout_s:g}'
        f'{ahead(pulse.joint_states_ahead_s)}'
    ),
    Trip.NO_HEARTBEAT: lambda pulse, limits: (
        f'{_silence(pulse.heartbeat_age_s)}, heartbeat_timeout_s={limits.heartbeat_timeout_s:g}'
    ),
    Trip.NO_CHUNK: lambda pulse, limits: (
        f'nothing to execute for {pulse.idle_s:.3f} s, chunk_timeout_s={limits.chunk_timeout_s:g}'
    ),
    Trip.TRACKING: lambda pulse, limits: (
        f'a joint is {pulse.tracking_error_rad:.3f} rad off, '
        f'max_tracking_error_rad={limits.max_tracking_error_rad:g}'
    ),
    Trip.MOVED: lambda pulse, limits: (
        f'a joint by {pulse.rest_motion_rad:.3f} rad, '
        f'max_rest_motion_rad={limits.max_rest_motion_rad:g}: somebody moved it, or its '
        'controller was stopped'
    ),
    Trip.LAG: lambda pulse, limits: (
        f'a joint by {pulse.lag_rad:.3f} rad, max_lag_rad={limits.max_lag_rad:g}'
    ),
}


def describe(trip: Trip, pulse: WatchdogInputs, limits: WatchdogLimits) -> str:
    """Return the reason with what was measured and the parameter that says how much is too much."""
    return f'{trip}: {_MEASURED[trip](pulse, limits)}'


def tripped(
    pulse: WatchdogInputs, limits: WatchdogLimits, among: Collection[Trip] = tuple(Trip)
) -> Trip | None:
    """Return the first reason to stop, of those asked about, or None."""
    for trip, breaks in RULES.items():
        if trip in among and breaks(pulse, limits):
            return trip
    return None
