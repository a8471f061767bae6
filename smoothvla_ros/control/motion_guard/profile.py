"""The joint profile: Ruckig towards a moving target, and a stop behind every step of it.

Ruckig bounds the jerk of its own trajectory. The controller sees that trajectory at knots and draws
a quintic from knot to knot, whose jerk is the best quadratic approximation of the trajectory's in
the mean square (Legendre polynomials up to degree 2): the quintic is the curve of least squared
jerk between two states. Its jerk may exceed the trajectory's by the norm of that projection, its
acceleration and velocity by amounts that shrink with the distance of the knots. Ruckig therefore
gets limits that are tighter by exactly that, and `CommandedMotion.violation` checks the outcome.
"""

from __future__ import annotations

import math

import numpy as np
import ruckig

from smoothvla_ros.control.motion_guard.braking import Stop
from smoothvla_ros.control.motion_guard.motion import (
    ACCELERATION,
    POSITION,
    VELOCITY,
    CommandedMotion,
)
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.joint_limits import EndVelocities, JointLimits

# Largest jerk of the quintic over the largest jerk of what it interpolates, and the largest
# difference of acceleration (times jerk and distance of knots) and of velocity (times its square).
JERK_NORM = 2.1758
ACCELERATION_EXCESS = 0.2084
VELOCITY_EXCESS = 0.0221
# The hull that velocities are checked with lies outside of them by less than this (same unit).
_HULL_EXCESS = 0.1

# Between knots of the stop. More of them cost time to send; fewer cost acceleration.
_STOP_SPACING = 2
# A range that the target keeps from the ends of the joints' ranges.
_POSITION_MARGIN_RAD = 1e-3
# Of the deceleration that just touches what the velocity is bounded by near the ends of a joint;
# the check reckons with a velocity and a position of one segment that do not belong together.
_SHARE_NEAR_ENDS = 0.9
# Nearer than this the target is reached, and the stop at the end of the motion does the rest.
_REACHED = np.array([1e-7, 1e-6, 1e-4])[:, None]
# A way that takes longer than this much of the horizon is none that was hoped for.
_LATE = 1.05


def followable(limits: JointLimits, period_s: float) -> JointLimits:
    """Return the limits that a profile with this period keeps, so that the arm keeps `limits`.

    Raises UserError where they leave nothing at this period.
    """
    knots_s = _STOP_SPACING * period_s
    jerk = limits.jerk / JERK_NORM
    acceleration = limits.acceleration - ACCELERATION_EXCESS * jerk * knots_s
    velocity = limits.velocity - (VELOCITY_EXCESS + _HULL_EXCESS) * jerk * knots_s**2
    if not (np.all(acceleration > 0) and np.all(velocity > 0)):
        raise UserError(
            f'a period of {period_s:g} s is too long for jerk limits of {limits.jerk.tolist()} '
            'rad/s^3: within one period they reach the limit of acceleration; raise the rate '
            'or lower the jerk'
        )
    lower, upper = limits.lower + _POSITION_MARGIN_RAD, limits.upper - _POSITION_MARGIN_RAD
    return JointLimits(lower, upper, velocity, acceleration, jerk, limits.ends)


class JointProfile:
    """Extends a motion towards a target so that it can always still stop inside of the limits."""

    def __init__(
        self, limits: JointLimits, period_s: float, follow_ticks: int, horizon_s: float
    ) -> None:
        """Take what the arm may do.

        period_s: of a tick.  follow_ticks: for how many ticks a motion goes on before it stops, if
        nothing extends it.  horizon_s: in which a target is to be reached; the farther ahead,
        the calmer the motion.  Raises UserError where the limits leave nothing at this period.
        """
        kept = followable(limits, period_s)
        self._limits = limits
        self._period_s = period_s
        self._horizon_s = horizon_s
        self._ahead_s = [period_s * (k + 1) for k in range(follow_ticks)]
        self._acceleration, self._jerk = kept.acceleration, kept.jerk
        # Ruckig wants the velocity of a target to be below its limit.
        self._fastest = 0.999 * kept.velocity
        self._lower, self._upper = kept.lower, kept.upper
        joints = len(kept.jerk)
        self._ruckig = ruckig.Ruckig(joints)
        self._trajectory = ruckig.Trajectory(joints)
        self._input = ruckig.InputParameter(joints)
        self._input.max_velocity = kept.velocity.tolist()
        self._input.max_acceleration = kept.acceleration.tolist()
        self._input.max_jerk = kept.jerk.tolist()
        self._input.target_acceleration = [0.0] * joints
        self._input.minimum_duration = horizon_s
        self._brake_for_the_ends(limits.ends)

    def extended(
        self, motion: CommandedMotion, tick: int, position: np.ndarray, velocity: np.ndarray
    ) -> CommandedMotion | None:
        """Return the motion that leaves `motion` at `tick` for a target, or None.

        position [n] rad and velocity [n] rad/s: of the target; both are cut to what the limits
        allow there. None: no such motion keeps every limit, and `motion`, which ends at rest, is
        to be followed on.
        """
        state = motion.at(tick)
        target = np.minimum(np.maximum(position, self._lower), self._upper)
        moving = self._stoppable(target, velocity)
        standing = np.zeros_like(moving)
        if not moving.any():
            left = np.abs(state)
            left[POSITION] = np.abs(state[POSITION] - target)
            if (left <= _REACHED).all():
                return motion
        ahead = self._towards(state, target, moving)
        if self._takes_too_long():
            ahead = self._towards(state, target, self._calmer(state, target, moving))
        candidate = self._kept(tick, state, ahead)
        if candidate is None:
            candidate = self._kept(tick, state, self._towards(state, target, standing))
        return None if candidate is None else motion.continued(candidate)

    def stopped(self, motion: CommandedMotion, tick: int) -> CommandedMotion:
        """Return the motion that leaves `motion` at `tick` for rest, without delay."""
        candidate = self._with_stop(tick, motion.at(tick), motion.states[:0])
        return motion if candidate.violation(self._limits) else motion.continued(candidate)

    def _brake_for_the_ends(self, ends: EndVelocities | None) -> None:
        """Work out how a joint brakes whose target lies near an end: [n] rad/s^2, and from where.

        What brakes no harder than this until it rests inside of the range is below `ends` all the
        way. A target counts as near where the fastest joint would have to brake for the end.
        """
        self._braking_up = self._braking_down = self._acceleration
        self._stopping_up = self._stopping_down = self._acceleration
        self._near_upper, self._near_lower = self._upper, self._lower
        if ends is None:
            return
        up = _SHARE_NEAR_ENDS * ends.braking(ends.upper - self._upper)
        down = _SHARE_NEAR_ENDS * ends.braking(self._lower - ends.lower)
        self._braking_up = np.minimum(self._acceleration, up)
        self._braking_down = np.minimum(self._acceleration, down)
        self._stopping_up = np.minimum(self._acceleration, 1.5 * self._braking_up)
        self._stopping_down = np.minimum(self._acceleration, 1.5 * self._braking_down)
        self._near_upper = self._upper - self._braking_distance(self._braking_up)
        self._near_lower = self._lower + self._braking_distance(self._braking_down)

    def _braking_distance(self, deceleration: np.ndarray) -> np.ndarray:
        """Return the way [n] rad from the largest velocity to rest, with its ramps of jerk."""
        return self._fastest / 2 * (self._fastest / deceleration + deceleration / self._jerk)

    def _stoppable(self, position: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Return the velocity at a target that part of the braking can still bring to rest.

        Half of the acceleration, or three quarters of what brakes near an end.
        """
        up = np.sqrt(self._stopping_up * np.maximum(self._upper - position, 0.0))
        down = np.sqrt(self._stopping_down * np.maximum(position - self._lower, 0.0))
        up = np.minimum(up, self._fastest)
        down = np.minimum(down, self._fastest)
        return np.minimum(np.maximum(velocity, -down), up)

    def _kept(
        self, tick: int, state: np.ndarray, ahead: np.ndarray | None
    ) -> CommandedMotion | None:
        """Return the motion that goes `ahead` and stops, unless it breaks a limit."""
        if ahead is None:
            return None
        candidate = self._with_stop(tick, state, ahead)
        return None if candidate.violation(self._limits) else candidate

    def _takes_too_long(self) -> bool:
        return self._trajectory.duration > _LATE * self._horizon_s > 0.0

    def _calmer(self, state: np.ndarray, position: np.ndarray, velocity: np.ndarray) -> np.ndarray:
        """Return a velocity at a target, at most the one asked for, that needs no run-up.

        A joint that is near to its target may be unable to gain the target's velocity on the way
        that is left. It would go back first, and followed tick by tick such a way never ends. No
        run-up is needed for the mean velocity of that way.
        """
        mean = (position - state[POSITION]) / self._horizon_s
        return np.minimum(np.maximum(mean, np.minimum(velocity, 0.0)), np.maximum(velocity, 0.0))

    def _towards(
        self, state: np.ndarray, position: np.ndarray, velocity: np.ndarray
    ) -> np.ndarray | None:
        """Return the next `follow_ticks` states [m, 3, n] of the way to a target; None: no way."""
        request = self._input
        request.current_position = state[POSITION].tolist()
        request.current_velocity = state[VELOCITY].tolist()
        request.current_acceleration = state[ACCELERATION].tolist()
        request.target_position = position.tolist()
        request.target_velocity = velocity.tolist()
        if self._limits.ends is not None:
            most = self._acceleration
            rising = np.where(position < self._near_lower, self._braking_down, most)
            falling = np.where(position > self._near_upper, self._braking_up, most)
            request.max_acceleration, request.min_acceleration = (
                rising.tolist(),
                (-falling).tolist(),
            )
        try:
            result = self._ruckig.calculate(request, self._trajectory)
        except ruckig.RuckigError:
            return None
        if result not in (ruckig.Result.Working, ruckig.Result.Finished):
            return None
        at_time = self._trajectory.at_time
        return np.array([at_time(time) for time in self._ahead_s])

    def _with_stop(self, tick: int, state: np.ndarray, ahead: np.ndarray) -> CommandedMotion:
        """Return `state` at `tick`, the states of the ticks after it, and a stop."""
        last = ahead[-1] if len(ahead) else state
        stop = Stop(last, self._acceleration, self._jerk)
        ticks = math.ceil(stop.duration_s / self._period_s)
        knots = np.arange(1, ticks + 2 * _STOP_SPACING, _STOP_SPACING)
        return CommandedMotion(
            self._period_s,
            np.concatenate([np.arange(tick, tick + len(ahead) + 1), tick + len(ahead) + knots]),
            np.concatenate([state[None], ahead, stop.at(knots * self._period_s)]),
        )
