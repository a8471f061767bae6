"""The gripper's actions, with a stand-in for their client: control_msgs is not installed here."""

from __future__ import annotations

import importlib.util
import math
import sys
from types import ModuleType, SimpleNamespace

import pytest
from guard_graph import GuardGraph, swing
from rclpy.action.client import GoalStatus
from rclpy.task import Future
from sensor_msgs.msg import JointState

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING
from smoothvla_ros.nodes.motion_guard import gripper_action
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig
from smoothvla_ros.nodes.motion_guard.gripper_action import ActionGripper


class Action:
    """What of control_msgs.action.GripperCommand is used."""

    class Goal:
        def __init__(self):
            self.command = SimpleNamespace(position=0.0, max_effort=0.0)


class ParallelAction:
    """What of control_msgs.action.ParallelGripperCommand is used: its command is a JointState."""

    class Goal:
        def __init__(self):
            self.command = JointState()


ACTIONS = {'GripperCommand': Action, 'ParallelGripperCommand': ParallelAction}


class Client:
    """A server's side, at hand: what was asked for, and what is answered when."""

    def __init__(self, node, action, name):
        self.ready, self.sent = True, []

    def server_is_ready(self):
        return self.ready

    def send_goal_async(self, goal):
        self.sent.append((goal.command, Future()))
        return self.sent[-1][1]

    def answer(self, *, accepted=True, index=-1):
        """Answer a goal; return the future of its result."""
        result = Future()
        handle = SimpleNamespace(accepted=accepted, get_result_async=lambda: result)
        self.sent[index][1].set_result(handle)
        return result


def outcome(status, stalled=False, position=0.0):
    return SimpleNamespace(
        status=status,
        result=SimpleNamespace(
            stalled=stalled, position=position, state=JointState(position=[position])
        ),
    )


@pytest.fixture
def played(monkeypatch):
    """The stand-in takes the place of the type that is missing, and of its client."""
    monkeypatch.setattr(gripper_action, '_action_type', lambda gripper, name: ACTIONS[name])
    monkeypatch.setattr(gripper_action, 'ActionClient', Client)
    monkeypatch.setattr(gripper_action, 'RETRY_S', 0.0)


def adapter(kind):
    """An adapter whose lines on /diagnostics are in `said`."""
    said = []
    diagnostics = SimpleNamespace(report=lambda part, level, text: said.append((level, text)))
    config = MotionGuardConfig(gripper=kind)
    made = ActionGripper(None, 'gripper_cmd', config, diagnostics)
    made.said, made.server = said, made._client
    return made


@pytest.fixture(params=['gripper_command', 'parallel_gripper_command'])
def gripper(played, request):
    """An adapter of either action."""
    return adapter(request.param)


def test_goal_that_is_reached_is_sent_once(gripper):
    """A gripper that stalls on what it holds has done its work."""
    for status, stalled in (
        (GoalStatus.STATUS_SUCCEEDED, False),
        (GoalStatus.STATUS_ABORTED, True),
    ):
        gripper.send(opens=True)
        gripper.server.answer().set_result(outcome(status, stalled))
        assert not gripper.is_lost()
    assert len(gripper.server.sent) == 2
    assert {level for level, _ in gripper.said} == {OK}


def test_what_each_action_is_asked_for(played):
    """Position and effort of the first joint; the one with a JointState names it."""
    for kind in ('gripper_command', 'parallel_gripper_command'):
        gripper = adapter(kind)
        gripper.send(opens=True)
        ((command, _),) = gripper.server.sent
        if kind == 'gripper_command':
            assert (command.position, command.max_effort) == (0.04, 20.0)
        else:
            assert command == JointState(
                name=['panda_finger_joint1'], position=[0.04], effort=[20.0]
            )
    gripper._config = MotionGuardConfig(gripper=kind, gripper_effort=0.0)
    gripper.send(opens=False)
    assert gripper.server.sent[-1][0] == JointState(name=['panda_finger_joint1'], position=[0.0])


def test_result_of_a_replaced_goal_says_no_position(played):
    """The controller cancels it with an empty state; one that is aborted so holds nothing."""
    gripper = adapter('parallel_gripper_command')
    gripper.send(opens=False)
    result = SimpleNamespace(stalled=False, state=JointState())
    aborted = SimpleNamespace(status=GoalStatus.STATUS_ABORTED, result=result)
    gripper.server.answer().set_result(aborted)
    assert gripper.is_lost()


@pytest.mark.skipif(
    importlib.util.find_spec('control_msgs') is not None, reason='control_msgs is here'
)
@pytest.mark.parametrize('old', [False, True])
def test_action_that_is_not_installed_is_named(monkeypatch, old):
    """Without control_msgs, and with one from before the action."""
    if old:
        monkeypatch.setitem(sys.modules, 'control_msgs', ModuleType('control_msgs'))
        monkeypatch.setitem(sys.modules, 'control_msgs.action', ModuleType('control_msgs.action'))
    words = 'gripper=parallel_gripper_command needs ParallelGripperCommand of control_msgs'
    with pytest.raises(UserError, match=words):
        adapter('parallel_gripper_command')


def test_nothing_is_sent_to_a_server_that_is_not_there(gripper):
    """It is said, and once it is there the command is given again."""
    gripper.server.ready = False
    gripper.send(opens=False)
    assert gripper.server.sent == []
    ((level, text),) = gripper.said
    assert level == WARNING
    action = f'control_msgs/action/{gripper._kind.name}'
    assert text == f'gripper_cmd: no server of {action}; sent again while asked for'
    assert [gripper.is_lost(), gripper.is_lost()] == [True, False]


@pytest.mark.parametrize('width', [0.006, 0.05])
def test_closing_that_is_aborted_on_an_object_is_not_repeated(gripper, width):
    """franka_gripper aborts, not stalled, with the width that is left between its fingers."""
    gripper.send(opens=False)
    result = gripper.server.answer()
    result.set_result(outcome(GoalStatus.STATUS_ABORTED, position=width))
    assert not gripper.is_lost()
    assert {level for level, _ in gripper.said} == {OK}
    assert 'taken for holding' in gripper.said[-1][1]


@pytest.mark.parametrize(
    ('opens', 'status', 'position'),
    [
        (True, GoalStatus.STATUS_ABORTED, 0.03),
        (False, GoalStatus.STATUS_CANCELED, 0.03),
        (False, GoalStatus.STATUS_ABORTED, 0.0005),
        (False, GoalStatus.STATUS_ABORTED, math.nan),
    ],
)
def test_what_holds_nothing_is_repeated(gripper, opens, status, position):
    """An opening that failed, a closing that was called off, and fingers that met."""
    gripper.send(opens=opens)
    gripper.server.answer().set_result(outcome(status, position=position))
    assert gripper.is_lost()
    assert gripper.said[-1][0] == WARNING


@pytest.mark.parametrize('status', [GoalStatus.STATUS_ABORTED, GoalStatus.STATUS_CANCELED, None])
def test_goal_that_is_rejected_or_fails_is_lost(gripper, status):
    """None: rejected."""
    gripper.send(opens=False)
    assert not gripper.is_lost()
    result = gripper.server.answer(accepted=status is not None)
    if status is not None:
        assert not gripper.is_lost()
        result.set_result(outcome(status))
    assert [gripper.is_lost(), gripper.is_lost()] == [True, False]
    assert gripper.said[-1][0] == WARNING


def test_server_that_does_not_answer_is_noticed(gripper, monkeypatch):
    """It died with the goal in its hands."""
    monkeypatch.setattr(gripper_action, 'ANSWER_TIMEOUT_S', -1.0)
    gripper.send(opens=False)
    assert [gripper.is_lost(), gripper.is_lost()] == [True, False]
    assert 'no answer' in gripper.said[-1][1]


def test_what_becomes_of_an_earlier_goal_changes_nothing(gripper):
    """A server cancels the goal that a newer one replaces; another answers late."""
    gripper.send(opens=False)
    first = gripper.server.answer()
    gripper.send(opens=True)
    first.set_result(outcome(GoalStatus.STATUS_CANCELED))
    gripper.send(opens=False)
    gripper.server.answer(accepted=False, index=1)
    assert not gripper.is_lost()
    assert {level for level, _ in gripper.said} == {OK}


def test_guard_sends_a_lost_goal_again_while_the_policy_asks_for_it(ros, played):
    """Through the node: not there at first, then rejected, then accepted; never two at a time."""
    graph = GuardGraph(
        gripper='gripper_command',
        max_late_s=5.0,
        max_chunk_age_s=5.0,
        max_observation_age_s=5.0,
        joint_states_timeout_s=1.0,
        heartbeat_timeout_s=2.0,
        rate_hz=100.0,
        transport_s=0.2,
        follow_ticks=10,
        chunk_timeout_s=5.0,
    )
    try:
        server = graph.node._gripper._client
        server.ready = False
        graph.armed()
        graph.send(swing(0.0, 60))
        graph.says('no server')
        assert server.sent == []
        server.ready = True
        graph.until(lambda: len(server.sent) == 1)
        server.answer(accepted=False)
        graph.says('rejected')
        graph.until(lambda: len(server.sent) == 2)
        server.answer()
        graph.run(0.2)
        assert len(server.sent) == 2
    finally:
        graph.close()
