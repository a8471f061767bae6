"""Each test of a rule fails once its rule is taken away: none of them passes for another reason."""

from __future__ import annotations

import numpy as np
import pytest
import test_guard_phases as phases
import test_guard_profile
import test_guard_refusals as chunks
import test_guard_watchdogs as silence
from guard_world import assert_inside_of_the_limits
from test_guard_limits import ANYTHING, play

from smoothvla_ros.control.motion_guard import guard, profile, refusals, watchdogs
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_inputs import GuardInputs, Measured
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.joint_positions import JointPositions
from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.control.motion_guard.phases import PhaseEvent, PhaseMachine
from smoothvla_ros.control.motion_guard.refusals import Refusal
from smoothvla_ros.control.motion_guard.watchdogs import Trip


def take_away(monkeypatch, module, name):
    """Judge by all rules of a module but one; their order is put back too."""
    left = {key: rule for key, rule in module.RULES.items() if key is not name}
    assert len(left) == len(module.RULES) - 1
    monkeypatch.setattr(module, 'RULES', left)


@pytest.mark.parametrize('refusal', [r for r in chunks.BAD_CHUNKS if r in refusals.RULES])
def test_refusal(monkeypatch, refusal):
    """Without the rule the chunk is taken, or refused for something else."""
    take_away(monkeypatch, refusals, refusal)
    # An array of another shape goes on to where nothing can be computed with it.
    failure = ValueError if refusal is Refusal.WRONG_SHAPE else AssertionError
    with pytest.raises(failure):
        chunks.test_bad_chunk_moves_nothing(refusal)


@pytest.mark.parametrize(
    ('refusal', 'test'),
    [
        (Refusal.NOT_ARMED, phases.test_disarming_stops_and_then_takes_no_chunk),
        (Refusal.NO_HEARTBEAT, chunks.test_chunk_without_a_heartbeat_is_refused),
        (Refusal.OLD_EPOCH, chunks.test_old_epoch_is_refused_and_a_new_one_only_at_rest),
        (Refusal.NEW_EPOCH_IN_MOTION, chunks.test_old_epoch_is_refused_and_a_new_one_only_at_rest),
        (Refusal.DUPLICATE, chunks.test_same_chunk_again_is_taken_once_and_older_ones_never),
        (Refusal.OUT_OF_ORDER, chunks.test_same_chunk_again_is_taken_once_and_older_ones_never),
    ],
)
def test_refusal_by_order(monkeypatch, refusal, test):
    """Epochs, sequence numbers, and who may send at all."""
    take_away(monkeypatch, refusals, refusal)
    with pytest.raises(AssertionError):
        test()


def test_distance_from_the_arm(monkeypatch):
    """A chunk may begin anywhere."""
    monkeypatch.setattr(guard, 'ChunkLimits', lambda: ANYTHING)
    with pytest.raises(AssertionError):
        chunks.test_bad_chunk_moves_nothing(Refusal.TOO_FAR_FROM_ARM)


def test_reach(monkeypatch):
    """A chunk may lead anywhere."""
    monkeypatch.setattr(JointPositions, 'require_reachable', lambda *_: None)
    with pytest.raises(AssertionError):
        chunks.test_bad_chunk_moves_nothing(Refusal.UNREACHABLE)


WATCHED = {
    Trip.NO_JOINT_STATES: silence.test_frozen_stamp_counts_as_silence,
    Trip.NO_HEARTBEAT: lambda: silence.test_watchdog_stops_and_latches(
        Trip.NO_HEARTBEAT, lambda world: setattr(world, 'hears_heartbeat', False)
    ),
    Trip.TRACKING: lambda: silence.test_watchdog_stops_and_latches(
        Trip.TRACKING, lambda world: setattr(world, 'offset', np.full(7, 0.2))
    ),
    Trip.MOVED: lambda: silence.test_an_arm_that_is_moved_at_rest_is_a_fault(False),
    Trip.LAG: silence.test_lag_beyond_its_limit_is_a_fault,
    Trip.NO_CHUNK: silence.test_silence_of_the_policy_pauses,
    Trip.OVERRUN: silence.test_loop_that_is_far_too_late_is_a_fault,
    Trip.CLOCK_WENT_BACK: lambda: silence.test_clock_that_jumps_back_is_a_fault(False),
}


@pytest.mark.parametrize('trip', watchdogs.RULES)
def test_watchdog(monkeypatch, trip):
    """Every watchdog has its test, and the test needs it."""
    take_away(monkeypatch, watchdogs, trip)
    with pytest.raises(AssertionError):
        WATCHED[trip]()


@pytest.mark.parametrize('ahead_ms', [10, 60_000])
def test_age_of_joints_of_the_future(monkeypatch, ahead_ms):
    """Whatever its stamp, a joint state counts from when it came last."""

    def heard(self, now_ns, stamp_ns, joints, velocities=None):
        self.measured = Measured(stamp_ns, now_ns, joints)

    monkeypatch.setattr(GuardInputs, 'hear_joints', heard)
    with pytest.raises(AssertionError):
        silence.test_stamp_of_the_future_that_stands_still_is_silence_too(ahead_ms)


@pytest.mark.parametrize('moving', [True, False])
def test_latch(monkeypatch, moving):
    """A fault that does not latch is found."""
    handle = PhaseMachine.handle

    def forgetful(self, event):
        return handle(self, PhaseEvent.DISARM if event is PhaseEvent.FAULT else event)

    monkeypatch.setattr(PhaseMachine, 'handle', forgetful)
    with pytest.raises(AssertionError):
        phases.test_emergency_stop_latches(moving)


def test_jerk_norm(monkeypatch):
    """With Ruckig's limit above the arm's own, and no check behind it, the arm gets more."""
    monkeypatch.setattr(profile, 'JERK_NORM', 0.9)
    monkeypatch.setattr(CommandedMotion, 'violation', lambda *_: '')
    with pytest.raises(AssertionError):
        assert_inside_of_the_limits(play(0, 600, GuardSettings()).signal())


def test_check_of_every_polynomial_suffices(monkeypatch):
    """A limit of Ruckig's that is a little too high: what breaks the arm's own is not sent."""
    monkeypatch.setattr(profile, 'JERK_NORM', 1.5)
    world = play(0, 600, GuardSettings())
    assert_inside_of_the_limits(world.signal())
    assert world.guard.unextended_ticks > 0
    _, velocities, *_ = world.signal()
    assert np.abs(velocities).max() > 0.5, 'an arm that stands is inside of its limits anyway'


def test_stop_behind_every_step(monkeypatch):
    """A target beyond the range, and no check of where the stop ends."""
    monkeypatch.setattr(CommandedMotion, 'violation', lambda *_: '')
    monkeypatch.setattr(profile, '_POSITION_MARGIN_RAD', -0.5)
    with pytest.raises(AssertionError):
        test_guard_profile.test_standing_target_beyond_the_range_is_not_reached()


def test_continuing_from_what_was_sent(monkeypatch):
    """A command that changes the past, because it reckons with no transport, makes a jump."""
    monkeypatch.setattr(
        MotionGuard, '_first_free_tick', lambda self, _: int(self._time.now_tick) - 4
    )
    with pytest.raises(AssertionError):
        assert_inside_of_the_limits(play(0, 600, GuardSettings()).signal())
