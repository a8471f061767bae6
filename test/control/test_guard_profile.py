"""The motion that the guard publishes: its interpolation, its stop, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import BPoly

from smoothvla_ros.control.motion_guard import profile as profile_module
from smoothvla_ros.control.motion_guard.braking import Stop
from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.control.motion_guard.profile import JointProfile, followable
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.joint_limits import JointLimits

PERIOD_S = 0.004
LIMITS = JointLimits(
    lower=np.array([-2.0, -1.0, -0.5]),
    upper=np.array([2.0, 1.0, 0.5]),
    velocity=np.array([1.0, 1.5, 0.5]),
    acceleration=np.array([5.0, 4.0, 8.0]),
    jerk=np.array([1000.0, 500.0, 2000.0]),
)


def random_motion(generator, knots=12):
    ticks = np.cumsum(generator.integers(1, 5, knots))
    states = generator.normal(size=(knots, 3, 2)) * np.array([1.0, 3.0, 20.0])[:, None]
    return CommandedMotion(PERIOD_S, ticks, states)


def dense(motion, points=50):
    """Times and derivatives 0 to 3 by SciPy's own quintic of each segment."""
    for k in range(len(motion.ticks) - 1):
        start, stop = motion.ticks[k] * PERIOD_S, motion.ticks[k + 1] * PERIOD_S
        curve = BPoly.from_derivatives([start, stop], motion.states[k : k + 2])
        times = np.linspace(start, stop, points)
        yield times, [curve(times, nu) for nu in range(4)]


def test_motion_is_the_quintic_through_its_states():
    """Position, velocity and acceleration at any time are those of an independent quintic."""
    motion = random_motion(np.random.default_rng(0))
    for times, derivatives in dense(motion, 7):
        for index, time in enumerate(times):
            state = motion.at(time / PERIOD_S)
            for nu in range(3):
                np.testing.assert_allclose(state[nu], derivatives[nu][index], rtol=1e-6, atol=1e-6)


def test_continuing_a_motion_inside_of_a_segment_changes_nothing_before():
    """Half of a quintic is the same quintic: whoever followed it notices nothing."""
    motion = random_motion(np.random.default_rng(1))
    tick = int(motion.ticks[5] + 1)
    end = CommandedMotion(motion.period_s, np.array([tick]), motion.at(tick)[None])
    cut = motion.continued(end)
    for at in np.linspace(motion.ticks[0], tick, 40):
        np.testing.assert_allclose(cut.at(at), motion.at(at), rtol=1e-9, atol=1e-9)


def test_violation_sees_what_samples_see():
    """Each limit just below and just above the densely sampled peak, on random motions."""
    generator = np.random.default_rng(2)
    for _ in range(30):
        motion = random_motion(generator, 2)
        peaks = np.abs(np.concatenate([np.stack(d, axis=1) for _, d in dense(motion, 2000)])).max(
            axis=0
        )
        names = ('position', 'velocity', 'acceleration', 'jerk')
        for number, name in enumerate(names):
            wide = [1e15 * np.ones(2) for _ in names]
            wide[number] = peaks[number] * 0.99
            limits = JointLimits(-wide[0], *wide)
            assert name in motion.violation(limits)
            wide[number] = peaks[number] * (1.5 if number < 2 else 1.001)
            limits = JointLimits(-wide[0], *wide)
            assert motion.violation(limits) == ''


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('order', range(3))
@pytest.mark.parametrize('knot', [0, 5, 11])
def test_motion_that_is_not_finite_is_a_violation(value, order, knot):
    """A NaN fails every comparison; here it is the one thing wrong with an arm that rests."""
    motion = CommandedMotion(PERIOD_S, np.arange(0, 24, 2), np.zeros((12, 3, 3)))
    assert not motion.violation(LIMITS)
    motion.states[knot, order, 1] = value
    assert 'finite' in motion.violation(LIMITS)


def test_stop_ends_at_rest_inside_of_its_limits_and_continues_the_state():
    """Random states: rest at the end, limits on the way, the derivatives belong together."""
    generator = np.random.default_rng(4)
    for _ in range(200):
        state = np.stack(
            [
                generator.uniform(-1, 1, 3),
                generator.uniform(-1, 1, 3) * LIMITS.velocity,
                generator.uniform(-1, 1, 3) * LIMITS.acceleration,
            ]
        )
        stop = Stop(state, LIMITS.acceleration, LIMITS.jerk)
        times = np.linspace(0, stop.duration_s, 2001)
        states = stop.at(times)
        np.testing.assert_allclose(states[0], state, atol=1e-12)
        np.testing.assert_allclose(states[-1, 1:], 0.0, atol=1e-9)
        assert np.all(np.abs(states[:, 2]) <= LIMITS.acceleration * (1 + 1e-9))
        step = times[1]
        jerks = np.diff(states[:, 2], axis=0) / step
        assert np.all(np.abs(jerks) <= LIMITS.jerk * (1 + 1e-6))
        # The trapezoidal rule errs by jerk times step^2 / 12 a step at most.
        slack = LIMITS.jerk * step**2
        middle = (states[1:, 2] + states[:-1, 2]) / 2
        assert np.all(np.abs(np.diff(states[:, 1], axis=0) - middle * step) <= slack)


def test_stop_is_as_short_as_ruckigs():
    """Nothing brakes faster under these limits."""
    import ruckig

    generator = np.random.default_rng(5)
    otg, request, trajectory = ruckig.Ruckig(1), ruckig.InputParameter(1), ruckig.Trajectory(1)
    request.control_interface = ruckig.ControlInterface.Velocity
    request.max_acceleration, request.max_jerk = [5.0], [1000.0]
    request.target_velocity = request.target_acceleration = [0.0]
    for _ in range(200):
        velocity, acceleration = generator.uniform(-1, 1), generator.uniform(-5, 5)
        request.current_position = [0.0]
        request.current_velocity, request.current_acceleration = [velocity], [acceleration]
        otg.calculate(request, trajectory)
        state = np.array([[0.0], [velocity], [acceleration]])
        stop = Stop(state, np.array([5.0]), np.array([1000.0]))
        assert stop.duration_s == pytest.approx(trajectory.duration, abs=1e-9)


def test_projection_norms_are_those_of_the_legendre_polynomials():
    """The constants that the internal limits rest on, integrated anew."""
    count = 1200
    s = (np.arange(count) + 0.5) / count

    def legendre(x):
        return np.stack([np.ones_like(x), x, (3 * x * x - 1) / 2])

    weights = np.array([1.0, 3.0, 5.0])[:, None]
    kernel = (weights * legendre(2 * s - 1)).T @ legendre(2 * s - 1)
    at_the_end = (weights * legendre(np.ones(1))).T @ legendre(2 * s - 1)
    jerk = np.abs(at_the_end).mean()
    accelerations = np.cumsum(kernel, axis=0) / count - (s[None] < s[:, None])
    velocities = np.cumsum(accelerations, axis=0) / count
    found = jerk, np.abs(accelerations).mean(axis=1).max(), np.abs(velocities).mean(axis=1).max()
    for value, constant in zip(
        found,
        (
            profile_module.JERK_NORM,
            profile_module.ACCELERATION_EXCESS,
            profile_module.VELOCITY_EXCESS,
        ),
        strict=True,
    ):
        assert value == pytest.approx(constant, rel=5e-3)
        assert constant > value * (1 - 1e-3)


def follow(targets, lead=2):
    """Run the profile over targets [(position, velocity)], one a tick; return the motion."""
    profile = JointProfile(LIMITS, PERIOD_S, follow_ticks=3, horizon_s=0.1)
    motion = CommandedMotion.at_rest(PERIOD_S, (0,), np.zeros(3))
    kept = 0
    for now, (position, velocity) in enumerate(targets):
        longer = profile.extended(motion, now + lead, position, velocity)
        kept += longer is None
        motion = longer or motion
    return motion, kept


def test_every_motion_ends_at_rest_whenever_it_is_abandoned():
    """The last state has no velocity and no acceleration, after any number of ticks."""
    generator = np.random.default_rng(6)
    profile = JointProfile(LIMITS, PERIOD_S, follow_ticks=3, horizon_s=0.1)
    motion = CommandedMotion.at_rest(PERIOD_S, (0,), np.zeros(3))
    for now in range(200):
        position, velocity = generator.uniform(-0.4, 0.4, 3), generator.uniform(-0.5, 0.5, 3)
        motion = profile.extended(motion, now + 2, position, velocity) or motion
        np.testing.assert_array_equal(motion.states[-1, 1:], 0.0)
        assert motion.violation(LIMITS) == ''


def test_standing_target_is_reached_and_moving_target_is_followed():
    """At rest on a target; four milliradians behind one that sways."""
    goal = np.array([0.5, -0.4, 0.3])
    motion, _ = follow([(goal, np.zeros(3))] * 600)
    np.testing.assert_allclose(motion.states[-1, 0], goal, atol=1e-6)
    ahead_s = 2 * PERIOD_S + 0.1
    times = np.arange(1000) * PERIOD_S
    ones = np.ones(3)
    aims = [(0.2 * np.sin(2 * t) * ones, 0.4 * np.cos(2 * t) * ones) for t in times + ahead_s]
    motion, kept = follow(aims)
    there = 0.2 * np.sin(2 * times)
    lags = [np.abs(motion.at(k)[0] - there[k]).max() for k in range(300, 1000)]
    assert max(lags) < 4e-3
    assert kept == 0


def test_target_that_gathers_speed_is_followed_without_a_run_up():
    """A target that gains velocity as hard as the joint can: none goes back to get at it later."""
    kept = followable(LIMITS, PERIOD_S)
    acceleration = np.array([0.0, 0.95 * kept.acceleration[1], 0.0])
    ahead_s, times = 2 * PERIOD_S + 0.1, np.arange(75) * PERIOD_S
    # As the actions of a policy do it: more at the beginning of each than at its end.
    speeds = np.cumsum(1.0 + 0.4 * np.sign(np.sin(2 * np.pi * 20 * times)))[:, None] * acceleration
    speeds *= PERIOD_S
    places = np.cumsum(speeds, axis=0) * PERIOD_S - 0.9 * np.array([0.0, 1.0, 0.0])
    profile = JointProfile(LIMITS, PERIOD_S, follow_ticks=3, horizon_s=0.1)
    motion = CommandedMotion.at_rest(PERIOD_S, (0,), places[0])
    shift = round(ahead_s / PERIOD_S)
    for now in range(len(times) - shift):
        target = places[now + shift], speeds[now + shift]
        motion = profile.extended(motion, now + 2, *target) or motion
    ticks = range(30, len(times) - shift)
    assert np.all(np.diff([motion.at(k)[1, 1] for k in ticks]) > -0.02)
    assert max(abs(motion.at(k)[0, 1] - places[k, 1]) for k in ticks) < 0.02


def test_target_beyond_the_range_at_full_speed_stops_inside():
    """Ruckig alone would run through: it ignores positions."""
    motion, _ = follow([(np.array([9.0, 9.0, -9.0]), np.array([1.0, 1.5, -0.5]))] * 1500)
    end = np.array([2.0, 1.0, -0.5])
    assert motion.violation(LIMITS) == ''
    np.testing.assert_allclose(motion.states[-1, 0], end, atol=2e-3)


def test_standing_target_beyond_the_range_is_not_reached():
    """The arm stops before the end of its range."""
    motion, _ = follow([(np.array([2.4, 1.4, 0.9]), np.zeros(3))] * 1200)
    assert np.all(motion.states[:, 0] <= LIMITS.upper)


def test_period_too_long_for_the_limits_is_refused():
    """Nothing is left of the acceleration: said at once, not found on the arm."""
    with pytest.raises(UserError, match='is too long for jerk limits'):
        JointProfile(LIMITS, 0.1, 3, 0.2)
