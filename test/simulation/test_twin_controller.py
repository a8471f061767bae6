"""What the twin makes of trajectories: the interpolation of joint_trajectory_controller."""

from __future__ import annotations

import numpy as np
import pytest

from smoothvla_ros.control.motion_guard.watchdogs import WatchdogLimits
from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.twin.joint_commands import finger_opening, ordered_points
from smoothvla_ros.simulation.twin.pacing import Pacer
from smoothvla_ros.simulation.twin.trajectory_controller import (
    TrajectoryController,
    TrajectoryPoint,
)

START = np.array([0.3, -0.2])


def point(time_s, function, derivatives=2):
    """A point of a motion t -> (position, velocity, acceleration)."""
    values = [np.array(v, dtype=float) for v in function(time_s)]
    return TrajectoryPoint(time_s, *values[: 1 + derivatives])


def resting(points):
    """The same points and one more, at rest, as the controller demands."""
    last = points[-1]
    still = np.zeros_like(last.positions)
    end = TrajectoryPoint(
        last.time_from_start_s + 1.0,
        last.positions,
        None if last.velocities is None else still,
        None if last.accelerations is None else still,
    )
    return [*points, end]


def quintic(t):
    """A motion that a quintic, but no lower spline, gives again between any two of its points."""
    powers, speeds = [0.3, -0.1, 0.4, 0.5, -0.6, 0.2], np.array([1.0, -2.0])
    p, v, a = (np.polynomial.polynomial.polyval(t, c) for c in _derivatives(powers))
    return START + speeds * (p - powers[0]), speeds * v, speeds * a


def _derivatives(powers):
    first = np.polynomial.polynomial.polyder(powers)
    return powers, first, np.polynomial.polynomial.polyder(first)


def test_quintic_between_points_with_accelerations():
    """Positions, velocities and accelerations of the segment are those of the one quintic."""
    controller = TrajectoryController(START)
    controller.command(resting([point(t, quintic) for t in (0.0, 0.3, 1.0)]))
    controller.sample(5.0)
    for t in (0.1, 0.3, 0.45, 0.9999):
        got = controller.sample(5.0 + t)
        for value, expected in zip(
            (got.positions, got.velocities, got.accelerations), quintic(t), strict=True
        ):
            assert value == pytest.approx(expected, abs=1e-9)


def test_cubic_and_line_where_points_have_less():
    """Velocities without accelerations give the cubic; positions alone a line."""
    cubic = np.polynomial.Polynomial([0.0, 0.2, -0.3, 0.4])

    def motion(t):
        return (np.array([cubic(t)] * 2), np.array([cubic.deriv()(t)] * 2))

    controller = TrajectoryController(np.zeros(2))
    controller.command(resting([point(t, motion, 1) for t in (0.0, 1.0)]))
    controller.sample(0.0)
    assert controller.sample(0.6).positions == pytest.approx([cubic(0.6)] * 2)
    controller.command([point(t, motion, 0) for t in (0.0, 1.0)])
    controller.sample(2.0)
    assert controller.sample(2.25).positions == pytest.approx([cubic(1.0) / 4] * 2)


def test_new_trajectory_begins_at_the_state_that_was_commanded():
    """Replaced in flight: position, velocity and acceleration go on without a step."""
    controller = TrajectoryController(START)
    controller.command(resting([point(t, quintic) for t in (0.0, 1.0)]))
    times = np.arange(0.0, 0.5, 0.002)
    states = [controller.sample(t) for t in times]
    ahead = [point(0.1 + t, lambda s: quintic(s + times[-1])) for t in (0.0, 0.4)]
    controller.command(resting(ahead), start_s=times[-1])
    states += [controller.sample(t) for t in times[-1] + times[1:]]
    at = np.append(times, times[-1] + times[1:])
    exact = np.array([quintic(t)[0] for t in at])
    assert np.abs(np.array([s.positions for s in states]) - exact).max() < 1e-9
    velocities = np.array([s.velocities for s in states])
    assert np.abs(np.diff(velocities, axis=0)).max() < 0.01


def test_end_is_held():
    """After the last point the position stays."""
    controller = TrajectoryController(START)
    controller.command([TrajectoryPoint(0.1, START + 1.0)])
    controller.sample(0.0)
    assert controller.sample(7.0).positions == pytest.approx(START + 1.0)


def test_stamped_trajectory_begins_at_its_time():
    """One that began 0.2 s ago is entered where it is now."""
    controller = TrajectoryController(START)
    controller.sample(9.998)
    controller.command(resting([point(t, quintic) for t in (0.0, 1.0)]), start_s=9.8)
    assert controller.sample(10.0).positions == pytest.approx(quintic(0.2)[0])


@pytest.mark.parametrize(
    ('points', 'words'),
    [
        ([], 'without points'),
        ([TrajectoryPoint(0.1, START), TrajectoryPoint(0.1, START)], 'point 1: time_from_start'),
        ([TrajectoryPoint(0.1, np.zeros(3))], 'positions for 2 joints'),
        ([TrajectoryPoint(0.1, START * np.nan)], 'not finite'),
        ([TrajectoryPoint(0.1, START, np.array([0.0, 1e-6]))], 'ends with a velocity'),
    ],
)
def test_what_the_controller_refuses_changes_nothing(points, words):
    """A bad message leaves the arm where it is."""
    controller = TrajectoryController(START)
    with pytest.raises(UserError, match=words):
        controller.command(points)
    assert controller.sample(1.0).positions == pytest.approx(START)


def test_joints_are_sorted_by_name():
    """A message may name them in any order; another set is refused."""
    (got,) = ordered_points(['b', 'a'], [(0.5, [2.0, 1.0], [], [4.0, 3.0])], ['a', 'b'])
    assert got.positions.tolist() == [1.0, 2.0]
    assert got.velocities is None
    assert got.accelerations.tolist() == [3.0, 4.0]
    with pytest.raises(UserError, match='names a; this controller has a, b'):
        ordered_points(['a'], [], ['a', 'b'])
    with pytest.raises(UserError, match='1 velocities for 2 joints'):
        ordered_points(['b', 'a'], [(0.5, [2.0, 1.0], [1.0], [])], ['a', 'b'])


def test_gripper_command_names_one_finger_or_both():
    """A position beyond the fingers' range is cut; anything else is refused."""
    assert finger_opening([0.03], 0.04) == 0.03
    assert finger_opening([0.5, 0.5], 0.04) == 0.04
    for bad in ([], [np.nan], [0.0] * 3):
        with pytest.raises(UserError, match='one or two finger positions'):
            finger_opening(bad, 0.04)


def test_pace_follows_the_clock_and_gives_lost_time_up():
    """At speed 2 a second has 1000 substeps of 2 ms; a pause of a second is not hurried after."""
    pacer = Pacer(2.0, 0.002, 100.0)
    assert pacer.due(100.0) == 0
    assert pacer.seconds_to_next(100.0) == pytest.approx(0.001)
    assert sum(pacer.due(100.0 + 0.005 * i) for i in range(1, 201)) == pytest.approx(1000, abs=2)
    assert [pacer.due(102.0) for _ in range(6)] == [10, 10, 10, 10, 0, 0]
    assert pacer.slipped_s == pytest.approx(0.96, abs=0.01)


@pytest.mark.parametrize('substep_takes_s', [0.001, 0.003, 0.005])
def test_a_late_twin_is_not_taken_for_a_silent_one(substep_takes_s):
    """Paused and slower than it should be, its newest state is younger than the guard waits for."""
    pacer, now_s, taken = Pacer(1.0, 0.002, 0.0), 0.0, 0
    for loop in range(2000):
        now_s += 0.05 if loop % 100 == 99 else pacer.seconds_to_next(now_s)
        for _ in range(pacer.due(now_s)):
            now_s += substep_takes_s
            taken += 1
            age_s = now_s - (0.002 * taken + pacer.slipped_s)
            assert age_s < WatchdogLimits().joint_states_timeout_s
