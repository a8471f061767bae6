"""The guard's node over real DDS, with everything around it that a test needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, Header
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory
from waiting import wait_until

from benchmarks.controller_model import ControllerModel
from smoothvla_ros import msg
from smoothvla_ros.control.motion_guard.motion import CommandedMotion
from smoothvla_ros.kinematics.robot import RobotDescription, panda_description
from smoothvla_ros.nanoseconds import NANOSECONDS, to_nanoseconds
from smoothvla_ros.nodes.motion_guard.node import MotionGuardNode
from smoothvla_ros.nodes.topics.drained_subscription import DrainedSubscription
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles, with_depth
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS
from smoothvla_ros.nodes.topics.stamps import to_stamp

READY = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
COMMANDS = 'joint_trajectory_controller/joint_trajectory'
SENTINEL = 'sentinel'
ARM_LAG_NS = 400_000_000
LONGEST_CLOCK_STEP_NS = 20_000_000
# The machine that tests run on does not keep time: a late tick is not what these tests are about.
SLACK = {
    'max_late_s': 5.0,
    'max_chunk_age_s': 5.0,
    'max_observation_age_s': 5.0,
    'joint_states_timeout_s': 1.0,
    'heartbeat_timeout_s': 1.0,
    'skip_elapsed': False,
    'max_lag_rad': 100.0,
    'rate_hz': 100.0,
    'transport_s': 0.2,
    'follow_ticks': 10,
}
PANDA = Path(__file__).parents[2] / 'config' / 'robots' / 'panda.yaml'
JERK_LIMITS = RobotDescription.from_file(PANDA).limits('comfort').jerk


class GuardGraph:
    """A guard, an arm that follows its commands, and hands to play the policy with.

    With use_sim_time the guard goes by /clock, which waits where this machine was busy elsewhere.
    """

    def __init__(self, **parameters):
        values = {'action_space': 'joint_positions', **parameters}
        overrides = [Parameter(name, value=value) for name, value in values.items()]
        namespace = {'namespace': 'robot_0'}
        self.node = MotionGuardNode(parameter_overrides=overrides, **namespace)
        self.node.autostart()
        self.world = Node('world', **namespace)
        quality = profiles(Graph.REAL_ARM)
        self.clock = self.world.create_publisher(Clock, '/clock', 10)
        joints = values.get('joint_states', 'joint_states')
        self.joints = self.world.create_publisher(JointState, joints, quality.joint_states)
        self.chunks = self.world.create_publisher(msg.ActionChunk, 'action_chunk', quality.command)
        self.beats = self.world.create_publisher(Header, 'heartbeat', quality.command)
        self.commands, self.states, self.gripper = [], [], []
        self.streamed = []
        self.said: list[str] = []
        heard = (
            (JointTrajectory, COMMANDS, quality.command, self._on_command),
            (
                Float64MultiArray,
                'forward_position_controller/commands',
                quality.command,
                lambda message: self.streamed.append(list(message.data)),
            ),
            (
                JointTrajectory,
                'gripper_controller/joint_trajectory',
                quality.command,
                self.gripper.append,
            ),
            (msg.GuardState, 'motion_guard/state', quality.status, self.states.append),
            (DiagnosticArray, '/diagnostics', quality.result, self._on_said),
        )
        # Emptied at every turn: a busy executor would keep the arm waiting for its commands.
        self._heard = [
            (DrainedSubscription(self.world, kind, topic, with_depth(profile, 100)), callback)
            for kind, topic, profile, callback in heard
        ]
        self.sentinels = self.world.create_publisher(JointTrajectory, COMMANDS, 10)
        self.services = {
            name: self.world.create_client(Trigger, f'motion_guard/{name}')
            for name in ('arm', 'disarm', 'clear_fault', 'e_stop')
        }
        self.period_ns = round(1e9 / self.node.get_parameter('rate_hz').value)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(self.world)
        self.controller = ControllerModel(READY)
        self.hears_joints = self.hears_heartbeat = True
        self.offset = np.zeros(7)
        self.velocity: list[float] = []
        self.signal = []
        self.seq = 0
        self._is_simulated = values.get('use_sim_time', False)
        self._clock_ns = self._machine_ns()
        self._heard_ns = self._clock_ns
        self._simulated_ns = self._clock_ns - ARM_LAG_NS
        for client in self.services.values():
            assert client.wait_for_service(10.0)
        self.until(lambda: self.joints.get_subscription_count() and self.states)

    def now_ns(self):
        return self._clock_ns if self._is_simulated else self._machine_ns()

    def _machine_ns(self):
        return self.world.get_clock().now().nanoseconds

    def spin_once(self):
        """Let 2 ms pass for the arm, and everybody hear of it."""
        heard_ns = self._machine_ns()
        self._clock_ns += min(heard_ns - self._heard_ns, LONGEST_CLOCK_STEP_NS)
        self._heard_ns = heard_ns
        self.clock.publish(Clock(clock=to_stamp(self.now_ns())))
        self.executor.spin_once(timeout_sec=0.002)
        for subscription, callback in self._heard:
            for message in subscription.take_all():
                callback(message)
        # The arm lags behind: it gets a command when it was sent, however busy this machine is.
        now = self.now_ns() - ARM_LAG_NS
        while self._simulated_ns + 1_000_000 <= now:
            self._simulated_ns += 1_000_000
            self.signal.append(self.controller.update(self._simulated_ns).copy())
        if self.hears_joints and self.signal:
            position = self.signal[-1][0] + self.offset
            message = JointState(name=[*PANDA_GRIPPER_JOINTS, *panda_description().joints])
            message.position = [0.04, 0.04, *position.tolist()]
            message.velocity = self.velocity
            message.header.stamp = to_stamp(now)
            self.joints.publish(message)
        if self.hears_heartbeat:
            self.beats.publish(Header())

    def until(self, condition, timeout_s=20.0):
        wait_until(condition, timeout_s, self.spin_once)

    def run(self, seconds):
        end_ns = self.now_ns() + round(seconds * NANOSECONDS)
        while self.now_ns() < end_ns:
            self.spin_once()

    def call(self, name):
        future = self.services[name].call_async(Trigger.Request())
        self.until(future.done)
        return future.result()

    def armed(self):
        self.until(lambda: self.signal)
        self.run(0.1)
        response = self.call('arm')
        assert response.success, response.message
        self.phase(msg.GuardState.PHASE_ARMED)
        self.until(lambda: not self.node._guard._is_taking_over)
        self.commands.clear()
        return self

    def running(self):
        """Armed, and under way at speed."""
        self.armed()
        self.send(swing(0.03, 64))
        self.until(lambda: np.abs(self.signal[-1][1]).max() > 0.3)
        return self

    def phase(self, phase):
        self.until(lambda: self.states and self.states[-1].phase == phase)

    def chunk(self, actions, /, stamp=None, **changes):
        """A chunk of now; stamp: when it was made, if not now."""
        self.seq += 1
        actions = np.asarray(actions)
        now = to_stamp(self.now_ns())
        values = {
            'epoch': 1,
            'seq': self.seq,
            'observation_stamp': now,
            'dt': 0.05,
            'action_space': 'joint_positions',
            'horizon': len(actions),
            'dimension': actions.shape[1],
            'actions': actions.ravel().tolist(),
        }
        message = msg.ActionChunk(**(values | changes))
        message.header.stamp = stamp or now
        return message

    def send(self, actions, /, **changes):
        self.chunks.publish(self.chunk(actions, **changes))

    def commands_before_sentinel(self):
        """Return what came on the command topic before a message that is sent now."""
        self.sentinels.publish(JointTrajectory(joint_names=[SENTINEL]))
        self.until(lambda: any(m.joint_names == [SENTINEL] for m in self.commands))
        names = [message.joint_names for message in self.commands]
        before = self.commands[: names.index([SENTINEL])]
        self.commands.clear()
        return before

    def close(self):
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()
        self.world.destroy_node()

    def says(self, words):
        """Wait until /diagnostics has these words."""
        self.until(lambda: any(words in text for text in self.said))

    def _on_said(self, message):
        self.said += [status.message for status in message.status]

    def _on_command(self, message):
        self.commands.append(message)
        if message.joint_names != [SENTINEL]:
            assert message.joint_names == list(panda_description().joints)
            start_ns = to_nanoseconds(message.header.stamp)
            period_ns = self.period_ns
            ticks, states = [], []
            for point in message.points:
                ns = point.time_from_start.sec * 1_000_000_000 + point.time_from_start.nanosec
                ticks.append(ns // period_ns)
                states.append([point.positions, point.velocities, point.accelerations])
            motion = CommandedMotion(period_ns * 1e-9, np.array(ticks), np.array(states))
            self.controller.deliver(start_ns + 3 * period_ns, start_ns, motion)


def to_joints(*positions):
    """Actions of joint_positions: the joints and an open gripper."""
    return np.column_stack([np.array(positions), -np.ones(len(positions))])


def swing(step_rad=0.02, steps=8, start=READY):
    """A chunk of joint positions that moves the first joint at a steady pace."""
    targets = np.tile(start, (steps, 1))
    targets[:, 0] += step_rad * np.arange(1, steps + 1)
    return to_joints(*targets)


def assert_came_to_rest(guard, phase):
    """The stop is smooth, and nothing follows it."""
    guard.phase(phase)
    guard.run(0.6)
    positions = np.array(guard.signal)[:, 0]
    jerk = np.abs(np.diff(positions, n=3, axis=0)) / 1e-9
    assert np.all(jerk <= JERK_LIMITS * (1 + 1e-6))
    assert np.abs(guard.signal[-1][1]).max() == 0.0
    guard.commands.clear()
    guard.run(0.1)
    assert guard.commands_before_sentinel() == []
