"""What ros2_control's joint_trajectory_controller makes of the messages that it gets.

Behaviour of version 4 (Jazzy) with the parameters of config/controllers.yaml: a message replaces
the trajectory at once; its first segment begins at the state that was commanded last
(`interpolate_from_desired_state: true`); a segment is a line, a cubic or a quintic, by what both
its ends have; the end is held, and a message that does not end at rest is refused, which is the
default of `allow_nonzero_velocity_at_trajectory_end`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smoothvla_ros.errors import UserError

# What the controller takes for no velocity: the precision of a float.
_AT_REST_RAD_S = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class TrajectoryPoint:
    """One point of a trajectory; [n] rad, rad/s and rad/s^2, the last two may be absent."""

    time_from_start_s: float
    positions: np.ndarray
    velocities: np.ndarray | None = None
    accelerations: np.ndarray | None = None


class TrajectoryController:
    """Samples the latest trajectory; time is any clock in seconds that does not go back."""

    def __init__(self, positions: np.ndarray) -> None:
        """Hold `positions` [n] rad until the first trajectory."""
        still = np.zeros(len(positions))
        self._desired = TrajectoryPoint(0.0, np.array(positions, dtype=float), still, still)
        self._last_sample_s = -math.inf
        self._points: tuple[TrajectoryPoint, ...] = ()
        self._start_s: float | None = None
        self._before: tuple[float, TrajectoryPoint] | None = None

    def command(self, points: Sequence[TrajectoryPoint], start_s: float | None = None) -> None:
        """Replace the trajectory.  start_s: when it begins; None is at the next sample.

        Raises UserError, and keeps the former trajectory, where the controller would refuse.
        """
        self._check(points)
        self._points = tuple(points)
        self._start_s = start_s
        self._before = None

    def sample(self, time_s: float) -> TrajectoryPoint:
        """Return what is commanded at a time."""
        if self._points:
            if self._before is None:
                self._begin(time_s)
            self._desired = self._at(time_s)
        self._last_sample_s = time_s
        return self._desired

    def _begin(self, time_s: float) -> None:
        """Join the trajectory to what was commanded until now."""
        if self._start_s is None:
            self._start_s = time_s
        self._before = (max(self._last_sample_s, time_s - 1.0), self._desired)

    def _at(self, time_s: float) -> TrajectoryPoint:
        assert self._before is not None
        assert self._start_s is not None
        begin_s, begin = self._before
        for point in self._points:
            end_s = self._start_s + point.time_from_start_s
            if time_s < end_s:
                return _interpolated(begin_s, begin, end_s, point, time_s)
            begin_s, begin = end_s, point
        still = np.zeros(len(begin.positions))
        return TrajectoryPoint(
            0.0,
            begin.positions,
            still,
            still if begin.accelerations is None else begin.accelerations,
        )

    def _check(self, points: Sequence[TrajectoryPoint]) -> None:
        joints = len(self._desired.positions)
        if not points:
            raise UserError('joint trajectory without points; give at least one')
        previous_s = -1.0
        for number, point in enumerate(points):
            place = f'joint trajectory, point {number}'
            if not point.time_from_start_s > previous_s:
                raise UserError(f'{place}: time_from_start does not rise; sort the points')
            previous_s = point.time_from_start_s
            for name in ('positions', 'velocities', 'accelerations'):
                values = getattr(point, name)
                if values is None:
                    continue
                if np.shape(values) != (joints,):
                    raise UserError(f'{place}: {np.shape(values)} {name} for {joints} joints')
                if not np.isfinite(values).all():
                    raise UserError(f'{place}: {name} are not finite')
        end = points[-1].velocities
        if end is not None and np.any(np.abs(end) > _AT_REST_RAD_S):
            raise UserError('joint trajectory ends with a velocity; end it at rest')


def _interpolated(
    begin_s: float, begin: TrajectoryPoint, end_s: float, end: TrajectoryPoint, time_s: float
) -> TrajectoryPoint:
    """Return the state between two points, by the spline of the highest order that both allow."""
    duration, at = end_s - begin_s, time_s - begin_s
    lift = end.positions - begin.positions
    zero = np.zeros_like(lift)
    if begin.velocities is None or end.velocities is None:
        slope = lift / duration
        return TrajectoryPoint(0.0, begin.positions + at * slope, slope, zero)
    v0, v1 = begin.velocities, end.velocities
    if begin.accelerations is None or end.accelerations is None:
        coefficients = (
            begin.positions,
            v0,
            (3 * lift - (2 * v0 + v1) * duration) / duration**2,
            (-2 * lift + (v0 + v1) * duration) / duration**3,
            zero,
            zero,
        )
    else:
        a0, a1 = begin.accelerations, end.accelerations
        t = duration
        coefficients = (
            begin.positions,
            v0,
            0.5 * a0,
            (20 * lift - (8 * v1 + 12 * v0) * t - (3 * a0 - a1) * t**2) / (2 * t**3),
            (-30 * lift + (14 * v1 + 16 * v0) * t + (3 * a0 - 2 * a1) * t**2) / (2 * t**4),
            (12 * lift - 6 * (v1 + v0) * t + (a1 - a0) * t**2) / (2 * t**5),
        )
    powers = at ** np.arange(6)
    order = np.arange(6)
    table = np.stack(coefficients)
    return TrajectoryPoint(
        0.0,
        powers @ table,
        (order[1:] * powers[:-1]) @ table[1:],
        (order[2:] * order[1:-1] * powers[:-2]) @ table[2:],
    )
