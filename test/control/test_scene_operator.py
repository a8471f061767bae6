"""Who arms and disarms the guard beside the twin: what is asked for in every situation."""

from __future__ import annotations

import math

import pytest

from smoothvla_ros.control.live.scene_operator import (
    HEARTBEAT_TIMEOUT_S,
    SETTLE_NS,
    Guard,
    OperatorRequest,
    SceneOperator,
    SceneProgress,
    SceneVerdict,
    policy_lives,
)
from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.phases import GuardPhase


def scene(number=1, *, stands=True, finished=False, success=False):
    return SceneProgress(number, stands, finished, success)


def guard(phase, reason=''):
    return Guard(phase, reason)


def wish(operator, scene, guard):
    return operator.wish(scene, guard, policy_lives=True)


def armed(operator, number=1):
    """An operator whose guard was armed for a scene."""
    assert wish(operator, scene(number), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM
    operator.granted(OperatorRequest.ARM, scene(number))
    return operator


def test_the_guard_is_armed_once_the_arm_stands_in_the_scene():
    """Not before: its joints were measured somewhere else; and again until it was granted."""
    operator = SceneOperator(1)
    assert wish(operator, scene(stands=False), guard(GuardPhase.DISARMED)) is None
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM
    operator.granted(OperatorRequest.ARM, scene())
    assert wish(operator, scene(), guard(GuardPhase.ARMED)) is None


def test_nobody_is_armed_for_a_policy_that_is_not_there():
    """The time of a scene runs from the arming on: one that is still loading would lose it."""
    operator = SceneOperator(1)
    assert operator.wish(scene(), guard(GuardPhase.DISARMED), policy_lives=False) is None
    fault = guard(GuardPhase.FAULTED, 'no heartbeat of the policy')
    assert operator.wish(scene(), fault, policy_lives=False) is None
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM


@pytest.mark.parametrize('phase', [GuardPhase.DISARMED, GuardPhase.FAULTED])
def test_a_scene_that_was_over_before_is_not_counted(phase):
    """An operator that comes late finds the verdict of another; it asks for a scene of its own."""
    operator = SceneOperator(1)
    assert (
        wish(operator, scene(finished=True, success=True), guard(phase))
        is OperatorRequest.NEXT_SCENE
    )
    assert not operator.verdicts


def test_a_guard_that_a_person_disarmed_is_left_alone():
    """During a scene nobody arms it again."""
    operator = armed(SceneOperator(2))
    assert wish(operator, scene(), guard(GuardPhase.RUNNING)) is None
    assert wish(operator, scene(), guard(GuardPhase.STOPPING)) is None
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is None


def test_after_the_verdict_the_arm_rests_and_the_next_scene_comes():
    """Disarmed first, reset only at rest and once, and the next scene is armed."""
    operator = armed(SceneOperator(2))
    over = scene(finished=True, success=True)
    assert wish(operator, over, guard(GuardPhase.RUNNING)) is OperatorRequest.DISARM
    assert wish(operator, over, guard(GuardPhase.STOPPING)) is None
    assert wish(operator, over, guard(GuardPhase.DISARMED)) is OperatorRequest.NEXT_SCENE
    operator.granted(OperatorRequest.NEXT_SCENE, over)
    assert wish(operator, over, guard(GuardPhase.DISARMED)) is None
    assert operator.verdicts == {1: SceneVerdict(True)}
    assert wish(armed(operator, 2), scene(2), guard(GuardPhase.RUNNING)) is None


def test_after_the_last_scene_the_arm_rests():
    """Disarmed, and nothing more, also where somebody else begins another scene."""
    operator = armed(SceneOperator(1))
    over = scene(finished=True)
    assert wish(operator, over, guard(GuardPhase.ARMED)) is OperatorRequest.DISARM
    assert wish(operator, over, guard(GuardPhase.DISARMED)) is None
    assert operator.done
    assert wish(operator, scene(2), guard(GuardPhase.DISARMED)) is None
    # A person arms it.
    assert wish(operator, over, guard(GuardPhase.ARMED)) is None
    assert operator.verdicts == {1: SceneVerdict(False)}


def test_a_fault_ends_a_scene_and_is_cleared_in_the_next():
    """Not in the scene in which it happened: what caused it is still there. Then it is armed."""
    operator = armed(SceneOperator(2))
    fault = guard(GuardPhase.FAULTED, 'no joint states')
    assert wish(operator, scene(), fault) is OperatorRequest.NEXT_SCENE
    operator.granted(OperatorRequest.NEXT_SCENE, scene())
    assert operator.verdicts == {1: SceneVerdict(False, 'no joint states')}
    assert wish(operator, scene(2, stands=False), fault) is None
    assert wish(operator, scene(2), fault) is OperatorRequest.CLEAR_FAULT
    operator.granted(OperatorRequest.CLEAR_FAULT, scene(2))
    assert wish(operator, scene(2), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM
    operator.granted(OperatorRequest.ARM, scene(2))
    assert wish(operator, scene(2), guard(GuardPhase.ARMED)) is None
    assert not operator.done


def test_a_fault_from_before_a_scene_is_not_its_verdict():
    """A guard that is found faulted is cleared, and the scene is played."""
    operator = SceneOperator(1)
    fault = guard(GuardPhase.FAULTED, 'no joint states')
    assert wish(operator, scene(), fault) is OperatorRequest.CLEAR_FAULT
    operator.granted(OperatorRequest.CLEAR_FAULT, scene())
    # What the guard said before its answer: no verdict either.
    assert wish(operator, scene(), fault) is OperatorRequest.CLEAR_FAULT
    assert not operator.verdicts
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is OperatorRequest.ARM


@pytest.mark.parametrize('number', [1, 2])
def test_an_emergency_stop_is_for_a_person_to_clear(number):
    """In its own scene and in the next; once it is cleared the work goes on."""
    operator = armed(SceneOperator(3))
    stop = guard(GuardPhase.FAULTED, E_STOP)
    assert wish(operator, scene(), stop) is None
    assert wish(operator, scene(number), stop) is None
    assert operator.verdicts == {1: SceneVerdict(False, E_STOP)}
    assert wish(operator, scene(), guard(GuardPhase.DISARMED)) is OperatorRequest.NEXT_SCENE


def test_a_guard_that_arms_itself_is_judged_as_well():
    """Its fault ends the scene, although nobody asked for the arming."""
    operator = SceneOperator(1)
    assert wish(operator, scene(), guard(GuardPhase.RUNNING)) is None
    assert wish(operator, scene(), guard(GuardPhase.FAULTED, 'no joint states')) is None
    assert operator.verdicts == {1: SceneVerdict(False, 'no joint states')}


def test_an_arm_stands_in_a_scene_once_it_was_measured_long_enough_after_its_beginning():
    """By then nothing of the scene before is left in a queue."""
    for since_ns, stands in ((-1, False), (SETTLE_NS, False), (SETTLE_NS + 1, True)):
        seen = SceneProgress.measured(5, 5 + since_ns, finished=True, success=False)
        assert seen == SceneProgress(5, stands, finished=True, success=False)


def test_a_policy_lives_as_long_as_its_heartbeat_is_young():
    """One that was never heard does not."""
    assert policy_lives(10.0, 9.9 + HEARTBEAT_TIMEOUT_S)
    assert not policy_lives(10.0, 10.0 + HEARTBEAT_TIMEOUT_S)
    assert not policy_lives(-math.inf, 0.0)


def test_the_verdicts_so_far_are_told_in_a_line():
    """With the last one it says that nothing more will move."""
    operator = armed(SceneOperator(2))
    wish(operator, scene(finished=True, success=True), guard(GuardPhase.RUNNING))
    assert operator.standing == '1 of 1 scenes solved'
    wish(armed(operator, 2), scene(2, finished=True), guard(GuardPhase.RUNNING))
    assert operator.standing == '1 of 2 scenes solved; all are played, the arm rests'


def test_a_scene_that_somebody_else_begins_is_armed():
    """The person calls `reset` in the middle of a scene; the arm that is moved away faults."""
    operator = armed(SceneOperator(2))
    assert wish(operator, scene(2), guard(GuardPhase.FAULTED, 'off')) is OperatorRequest.CLEAR_FAULT
    assert not operator.verdicts
