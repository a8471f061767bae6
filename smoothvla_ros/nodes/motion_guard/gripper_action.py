"""The actions of control_msgs that move a gripper, where that package is installed."""

from __future__ import annotations

import functools
import importlib
import math
import time
from typing import Any, Protocol

from rclpy.action import ActionClient
from rclpy.action.client import GoalStatus
from rclpy.node import Node

from smoothvla_ros.control.motion_guard.gripper import is_holding
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.diagnostics import OK, WARNING, Diagnostics
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig
from smoothvla_ros.nodes.topics.controllers import GRIPPER_ACTION, GRIPPER_PARALLEL_ACTION

PART = 'gripper'
# A server that answers at all says within milliseconds whether it accepts a goal.
ANSWER_TIMEOUT_S = 1.0
RETRY_S = 0.5


class GripperAction(Protocol):
    """How a kind of action asks for a position, and says where the gripper came to rest."""

    # Of control_msgs.action.
    name: str

    def ask(self, command: Any, joint: str, position: float, effort: float) -> None:
        """Fill the command of a goal for the first joint."""
        ...

    def position(self, result: Any) -> float:
        """Return where it ended; NaN where that is not said."""
        ...


class _Command:
    name = 'GripperCommand'

    def ask(self, command: Any, joint: str, position: float, effort: float) -> None:
        command.position, command.max_effort = position, effort

    def position(self, result: Any) -> float:
        return result.position


class _ParallelCommand:
    name = 'ParallelGripperCommand'

    def ask(self, command: Any, joint: str, position: float, effort: float) -> None:
        # One joint: of more the controller rejects the goal, mimicking ones follow by themselves.
        command.name, command.position = [joint], [position]
        command.effort = [effort] if effort else []

    def position(self, result: Any) -> float:
        # Nothing is in the result of a goal that another one has replaced.
        return result.state.position[0] if len(result.state.position) else math.nan


ACTIONS: dict[str, GripperAction] = {
    GRIPPER_ACTION: _Command(),
    GRIPPER_PARALLEL_ACTION: _ParallelCommand(),
}


class ActionGripper:
    """Sends goals, watches what becomes of the last one, and says so on /diagnostics.

    It repeats nothing by itself: whether the gripper is still to move is for the guard to say.
    """

    def __init__(
        self, node: Node, name: str, config: MotionGuardConfig, diagnostics: Diagnostics
    ) -> None:
        """Raises UserError where control_msgs is not installed, or too old for the action."""
        self._kind = ACTIONS[config.gripper]
        self._action = _action_type(config.gripper, self._kind.name)
        self._name = name
        self._config = config
        self._diagnostics = diagnostics
        self._client = ActionClient(node, self._action, name)
        # Of the last goal; what is heard of an earlier one is of no interest any more.
        self._number = 0
        self._answer_due: float | None = None
        self._retry_at: float | None = None

    def send(self, opens: bool) -> None:
        """Ask for the first joint's position."""
        config = self._config
        self._number += 1
        self._answer_due = self._retry_at = None
        if not self._client.server_is_ready():
            # One of another type is none either.
            self._fail(self._number, f'no server of control_msgs/action/{self._kind.name}')
            return
        goal = self._action.Goal()
        positions = config.gripper_open if opens else config.gripper_closed
        joint = config.gripper_joints[0]
        self._kind.ask(goal.command, joint, positions[0], config.gripper_effort)
        self._answer_due = time.monotonic() + ANSWER_TIMEOUT_S
        answer = self._client.send_goal_async(goal)
        answer.add_done_callback(functools.partial(self._on_answer, self._number, opens))

    def is_lost(self) -> bool:
        """Return once, a while after a goal failed, whether it is to be sent again."""
        if self._answer_due is not None and time.monotonic() > self._answer_due:
            self._fail(self._number, 'no answer')
        if self._retry_at is None or time.monotonic() < self._retry_at:
            return False
        self._retry_at = None
        return True

    def _on_answer(self, number: int, opens: bool, answer: Any) -> None:
        if number != self._number:
            return
        self._answer_due = None
        goal = answer.result()
        if not goal.accepted:
            self._fail(number, 'a goal was rejected')
            return
        self._diagnostics.report(PART, OK, f'{self._name}: a goal was accepted')
        goal.get_result_async().add_done_callback(functools.partial(self._on_result, number, opens))

    def _on_result(self, number: int, opens: bool, result: Any) -> None:
        if number != self._number:
            return
        response = result.result()
        # Stalled is how a gripper ends that holds something, and some call that aborted.
        if response.status == GoalStatus.STATUS_SUCCEEDED or response.result.stalled:
            return
        # franka_gripper never says stalled. To close is to grasp a width of nothing there: whatever
        # is thicker than its default_grasp_epsilon it holds, and calls the goal aborted.
        if not opens and response.status == GoalStatus.STATUS_ABORTED:
            position = self._kind.position(response.result)
            config = self._config
            if is_holding(position, config.gripper_open[0], config.gripper_closed[0]):
                text = f'{self._name}: closing ended at {position:.4f}; taken for holding something'
                self._diagnostics.report(PART, OK, text)
                return
        self._fail(number, f'a goal ended with status {response.status}')

    def _fail(self, number: int, why: str) -> None:
        if number != self._number:
            return
        self._answer_due, self._retry_at = None, time.monotonic() + RETRY_S
        self._diagnostics.report(PART, WARNING, f'{self._name}: {why}; sent again while asked for')


def _action_type(gripper: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module('control_msgs.action'), name)
    except (ImportError, AttributeError) as error:
        raise UserError(
            f'gripper={gripper} needs {name} of control_msgs, which is not installed ({error}); '
            'install or update ros-jazzy-control-msgs, or choose another gripper'
        ) from error
