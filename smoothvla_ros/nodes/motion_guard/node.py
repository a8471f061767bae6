"""The motion guard on topics: between the policy and the controller of one arm."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.phases import GuardPhase
from smoothvla_ros.control.motion_guard.thread_account import ThreadAccount
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nanoseconds import NANOSECONDS, to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.motion_guard.commands import ArmCommands, CommandedJoints, gripper_commands
from smoothvla_ros.nodes.motion_guard.config import (
    STOP_TIMEOUT_S,
    MotionGuardConfig,
    make_guard,
)
from smoothvla_ros.nodes.motion_guard.messages import (
    chunk_from_message,
    named_values,
    to_guard_state,
)
from smoothvla_ros.nodes.topics.controllers import POSITION_CONTROLLER
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.named_joint_states import NamedJointStates
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles

STATE_PERIOD_S = 0.1
LEVELS = {GuardPhase.DISARMED: WARNING, GuardPhase.STOPPING: WARNING, GuardPhase.FAULTED: ERROR}


class MotionGuardNode(AutostartNode):
    """Takes ActionChunk, joint_states and heartbeat of one robot; commands its controllers.

    Active is not armed: ~/arm takes the arm over, ~/disarm lets go of it, ~/e_stop stops it until
    ~/clear_fault and then ~/arm, also where the node is configured and not active yet. Every change
    of state is published on ~/state and /diagnostics.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__('motion_guard', **arguments)
        # Services and the timer run in the executor's thread, `stop` in the process's own.
        self._lock = threading.Lock()
        self._ticked = threading.Condition(self._lock)
        self._is_active = self._is_ending = self._is_simulated = False
        # Which runs the timer, and is the one that hears a simulated clock.
        self._executor_thread: int | None = None

    def configure(self) -> None:
        self._config = config = declare(self, MotionGuardConfig)
        robot = load_robot_description(config.robot, config.urdf)
        self._robot, self._robot_name = robot, self.get_namespace().strip('/')
        self._account = ThreadAccount()
        self._guard = make_guard(config, robot, self._account.text)
        quality = profiles(Graph.REAL_ARM)
        self._diagnostics = Diagnostics(self)
        self._arm = ArmCommands(self, config, robot.joints, quality.command)
        self._commanded = CommandedJoints(self, robot.joints, quality.joint_states)
        self._gripper = gripper_commands(self, config, quality.command, self._diagnostics)
        self._states = self.create_publisher(msg.GuardState, '~/state', quality.status)
        self._joint_states = NamedJointStates(
            self, config.joint_states, quality.joint_states, robot.joints, config.joint_states
        )
        self._heartbeats = DrainedSubscription(self, Header, 'heartbeat', quality.joint_states)
        self.create_subscription(msg.ActionChunk, 'action_chunk', self._on_chunk, quality.command)
        guard = self._guard
        for name, request in (
            ('arm', self._arm_where_heard),
            ('disarm', guard.disarm),
            ('clear_fault', guard.clear_fault),
            ('e_stop', guard.e_stop),
        ):
            self._serve(name, request)
        if config.auto_arm:
            self.get_logger().warning(
                'auto_arm: the arm is taken over, without a call, as soon as it is heard of on '
                f'{config.joint_states}; for simulated arms only'
            )
        self._said: tuple[Any, ...] = ()
        self._said_ns = self._said_chunks = 0
        # A system clock that is set back would stop a timer of its own kind.
        self._is_simulated = self.get_parameter('use_sim_time').value
        clock = self.get_clock() if self._is_simulated else Clock(clock_type=ClockType.STEADY_TIME)
        period_s = 1.0 / config.rate_hz
        self._timer = self.create_timer(period_s, self._on_timer, clock=clock, autostart=False)

    def activate(self) -> None:
        self._is_active, self._is_ending = True, False
        self._timer.reset()

    def deactivate(self) -> None:
        self._come_to_rest()
        if not self._is_ending:
            self._timer.cancel()

    def stop(self) -> None:
        self._come_to_rest()

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        if self._is_ending:
            self.get_logger().error('the arm is still coming to rest; clean up when it is disarmed')
            return TransitionCallbackReturn.FAILURE
        return super().on_cleanup(state)

    def _come_to_rest(self) -> None:
        """Bring the arm to rest and let go of it, before this returns.

        Where this is the thread that hears a simulated clock, it would wait for itself: the stop is
        sent, and the timer goes on until the arm has come to rest.
        """
        with self._lock:
            if self._is_active:
                self._is_active, self._is_ending = False, True
                now_ns = self._now_ns()
                self._guard.disarm(now_ns)
                self._answered(now_ns)
                self._is_ending = not self._guard.at_rest
        if self._is_simulated and threading.get_ident() == self._executor_thread:
            return
        deadline = time.monotonic() + STOP_TIMEOUT_S
        with self._lock:
            while self._is_ending and time.monotonic() < deadline:
                # Lets go of the lock: the executor may have a simulated clock to hear of meanwhile.
                self._ticked.wait(1.0 / self._config.rate_hz)
                if not self._is_simulated:
                    self._tick()
            if self._is_ending:
                self._is_ending = False
                self._diagnostics.report(
                    self._robot_name or 'robot',
                    ERROR,
                    f'the arm did not come to rest within {STOP_TIMEOUT_S:g} s; nothing more is '
                    'commanded: look at it, and at its clock',
                )

    def _on_timer(self) -> None:
        with self._lock:
            self._executor_thread = threading.get_ident()
            if self._is_active or (self._is_ending and self._is_simulated):
                self._tick()

    def _tick(self) -> None:
        now_ns, began = self._now_ns(), self._account.mark()
        self._listen(now_ns)
        if self._config.auto_arm and self._is_active and not self._guard.waits_for_a_person:
            self._arm_where_heard(now_ns)
        if self._gripper is not None and self._gripper.is_lost():
            self._guard.repeat_gripper()
        command = self._guard.tick(now_ns)
        # From its beginning on: what this tick takes for itself makes the next one late.
        self._account.begin(began)
        self._arm.send(command)
        self._commanded.send(now_ns, self._guard.commanded)
        if command.open_gripper is not None and self._gripper is not None:
            self._gripper.send(command.open_gripper)
        self._say(now_ns)
        self._is_ending = self._is_ending and not self._guard.at_rest
        self._ticked.notify_all()

    def _arm_where_heard(self, now_ns: int) -> str:
        return self._arm.nobody_listens() or self._guard.arm(now_ns)

    def _answered(self, now_ns: int) -> None:
        """Do at once what a request changed, unless a tick out of turn would be a step too many."""
        if self._config.controller == POSITION_CONTROLLER:
            self._say(now_ns)
        else:
            self._tick()

    def _listen(self, now_ns: int) -> None:
        """Take what waits on the topics that are not worth a callback a message."""
        # The newest one that can be used suffices: the arm is faster than the guard.
        for message in reversed(list(self._joint_states.take_all())):
            joints = self._robot.joints
            if self._guard.hear_joints(
                now_ns,
                to_nanoseconds(message.header.stamp),
                named_values(message.name, message.position, joints),
                named_values(message.name, message.velocity, joints),
            ):
                break
        for _ in self._heartbeats.take_all():
            self._guard.hear_heartbeat(now_ns)

    def _on_chunk(self, message: msg.ActionChunk) -> None:
        with self._lock:
            if self._is_active:
                now_ns = self._now_ns()
                self._listen(now_ns)
                self._guard.offer(now_ns, chunk_from_message(message))
                # Here and not at the next tick: before that another one may be taken.
                self._say(now_ns)

    def _serve(self, name: str, request: Callable[[int], str]) -> None:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            with self._lock:
                now_ns = self._now_ns()
                self._listen(now_ns)
                may = self._is_active or name == 'e_stop'
                reason = request(now_ns) if may else 'the node is not active'
                if self._is_active:
                    self._answered(now_ns)
                elif may:
                    self._say(now_ns)
            response.success, response.message = not reason, reason
            return response

        self.create_service(Trigger, f'~/{name}', answer)

    def _say(self, now_ns: int) -> None:
        """Publish the state when it changed, when a chunk was taken, and ten times a second."""
        guard = self._guard
        state = guard.phase, guard.reason, guard.fault_latched, guard.refusals.total()
        changed = state != self._said
        news = changed or guard.chunks != self._said_chunks
        if not news and 0 <= now_ns - self._said_ns < STATE_PERIOD_S * NANOSECONDS:
            return
        self._said_ns, self._said_chunks = now_ns, guard.chunks
        self._states.publish(
            to_guard_state(guard, self._robot_name, self._robot.base_frame, now_ns)
        )
        if changed:
            self._said = state
            level = LEVELS.get(guard.phase, WARNING if guard.reason else OK)
            text = guard.phase.name.lower() + (f': {guard.reason}' if guard.reason else '')
            values = {str(refusal): count for refusal, count in guard.refusals.items()}
            self._diagnostics.report(self._robot_name or 'robot', level, text, values)

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds


def main() -> int:
    """Run the node; returns the exit status."""
    return run_node(MotionGuardNode, steady=True)


if __name__ == '__main__':
    sys.exit(main())
