"""Who arms and disarms the guard beside the twin: what is asked for in every situation."""

from __future__ import annotations

import pytest

from smoothvla_ros.control.motion_guard.guard import E_STOP
from smoothvla_ros.control.motion_guard.phases import Phase
from smoothvla_ros.control.scene_operator import Guard, Scene, SceneOperator, Verdict, Wish


def scene(number=1, *, stands=True, finished=False, success=False):
    return Scene(number, stands, finished, success)


def guard(phase, reason=''):
    return Guard(phase, reason)


def armed(operator, number=1):
    """An operator whose guard was armed for a scene."""
    assert operator.wish(scene(number), guard(Phase.DISARMED)) is Wish.ARM
    operator.granted(Wish.ARM, scene(number))
    return operator


def test_the_guard_is_armed_once_the_arm_stands_in_the_scene():
    """Not before: its joints were measured somewhere else; and again until it was granted."""
    operator = SceneOperator(1)
    assert operator.wish(scene(stands=False), guard(Phase.DISARMED)) is None
    assert operator.wish(scene(), guard(Phase.DISARMED)) is Wish.ARM
    assert operator.wish(scene(), guard(Phase.DISARMED)) is Wish.ARM
    operator.granted(Wish.ARM, scene())
    assert operator.wish(scene(), guard(Phase.ARMED)) is None


def test_a_guard_that_a_person_disarmed_is_left_alone():
    """During a scene nobody arms it again."""
    operator = armed(SceneOperator(2))
    assert operator.wish(scene(), guard(Phase.RUNNING)) is None
    assert operator.wish(scene(), guard(Phase.STOPPING)) is None
    assert operator.wish(scene(), guard(Phase.DISARMED)) is None


def test_after_the_verdict_the_arm_rests_and_the_next_scene_comes():
    """Disarmed first, reset only at rest and once, and the next scene is armed."""
    operator = armed(SceneOperator(2))
    over = scene(finished=True, success=True)
    assert operator.wish(over, guard(Phase.RUNNING)) is Wish.DISARM
    assert operator.wish(over, guard(Phase.STOPPING)) is None
    assert operator.wish(over, guard(Phase.DISARMED)) is Wish.NEXT_SCENE
    operator.granted(Wish.NEXT_SCENE, over)
    assert operator.wish(over, guard(Phase.DISARMED)) is None
    assert operator.verdicts == {1: Verdict(True)}
    assert armed(operator, 2).wish(scene(2), guard(Phase.RUNNING)) is None


def test_after_the_last_scene_the_arm_rests():
    """Disarmed, and nothing more, also where somebody else begins another scene."""
    operator = armed(SceneOperator(1))
    over = scene(finished=True)
    assert operator.wish(over, guard(Phase.ARMED)) is Wish.DISARM
    assert operator.wish(over, guard(Phase.DISARMED)) is None
    assert operator.done
    assert operator.wish(scene(2), guard(Phase.DISARMED)) is None
    assert operator.verdicts == {1: Verdict(False)}


def test_a_fault_ends_a_scene_and_is_cleared_in_the_next():
    """Not in the scene in which it happened: what caused it is still there."""
    operator = armed(SceneOperator(2))
    fault = guard(Phase.FAULTED, 'no joint states')
    assert operator.wish(scene(), fault) is Wish.NEXT_SCENE
    operator.granted(Wish.NEXT_SCENE, scene())
    assert operator.verdicts == {1: Verdict(False, 'no joint states')}
    assert operator.wish(scene(2, stands=False), fault) is None
    assert operator.wish(scene(2), fault) is Wish.CLEAR_FAULT
    operator.granted(Wish.CLEAR_FAULT, scene(2))
    assert operator.wish(scene(2), guard(Phase.ARMED)) is None
    assert not operator.done


def test_a_fault_from_before_a_scene_is_not_its_verdict():
    """A guard that is found faulted is cleared, and the scene is played."""
    operator = SceneOperator(1)
    assert operator.wish(scene(), guard(Phase.FAULTED, 'no joint states')) is Wish.CLEAR_FAULT
    assert not operator.verdicts


@pytest.mark.parametrize('number', [1, 2])
def test_an_emergency_stop_is_for_a_person_to_clear(number):
    """In its own scene and in the next; once it is cleared the work goes on."""
    operator = armed(SceneOperator(3))
    stop = guard(Phase.FAULTED, E_STOP)
    assert operator.wish(scene(), stop) is None
    assert operator.wish(scene(number), stop) is None
    assert operator.verdicts == {1: Verdict(False, E_STOP)}
    assert operator.wish(scene(), guard(Phase.ARMED)) is Wish.DISARM


def test_a_guard_that_arms_itself_is_judged_as_well():
    """Its fault ends the scene, although nobody asked for the arming."""
    operator = SceneOperator(1)
    assert operator.wish(scene(), guard(Phase.RUNNING)) is None
    assert operator.wish(scene(), guard(Phase.FAULTED, 'no joint states')) is None
    assert operator.verdicts == {1: Verdict(False, 'no joint states')}


def test_a_scene_that_somebody_else_begins_is_armed():
    """The person calls `reset` in the middle of a scene; the arm that is moved away faults."""
    operator = armed(SceneOperator(2))
    assert operator.wish(scene(2), guard(Phase.FAULTED, 'off')) is Wish.CLEAR_FAULT
    assert not operator.verdicts
