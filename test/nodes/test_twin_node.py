"""The twin's node: the topics of ros2_control over real DDS, around an arm that costs nothing."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from builtin_interfaces.msg import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS
from smoothvla_ros.nodes.twin import node as twin_module
from smoothvla_ros.nodes.twin.node import Twin
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.twin import runner as runner_module
from smoothvla_ros.simulation.twin.arm_twin import TwinState
from smoothvla_ros.simulation.twin.episode_log import EpisodeLog
from smoothvla_ros.simulation.twin.runner import RunnerSettings, TwinRunner


class RecordingArm:
    """Stands for `ArmTwin`: remembers its commands, succeeds when a gripper is closed."""

    period_s = 0.002

    def __init__(self, render):
        self.names = []
        self.trajectories = []
        self.positions = []
        self.openings = []
        self.succeeded = False

    @property
    def environment(self):
        class Scene:
            class task:
                language = 'close the hand'

        return Scene

    def reset(self, name):
        if name.init_state == 77:
            raise UserError('init state 77 is unknown')
        self.names.append(name)
        self.succeeded = False

    def follow(self, points, delay_s):
        self.trajectories.append((points, delay_s))

    def forward(self, positions):
        self.positions.append(positions)

    def open_gripper(self, opening):
        self.openings.append(opening)
        self.succeeded = opening == 0.0

    def advance(self):
        pass

    def state(self):
        return TwinState(np.arange(7.0), np.ones(7), np.array([0.03, 0.02]))


class NoCameras:
    """Draws nothing."""

    def __init__(self, deliver):
        pass

    def prepare(self, environment):
        pass

    def offer(self, stamp_ns, twin, *, wait):
        return True

    def close(self):
        pass


class World:
    def __init__(self, monkeypatch, **parameters):
        monkeypatch.setattr(twin_module, 'ArmTwin', self._arm)
        monkeypatch.setattr(runner_module, 'TwinCameras', NoCameras)
        self.node = Twin(
            parameter_overrides=[Parameter(name, value=value) for name, value in parameters.items()]
        )
        self.user = user = Node('user')
        quality = profiles('real_arm')
        self.joint_states, self.tasks, self.episodes, self.clock = [], [], [], []
        for kind, topic, heard, profile in (
            (JointState, 'robot_0/joint_states', self.joint_states, quality.joint_states),
            (String, 'robot_0/task', self.tasks, quality.state),
            (msg.EpisodeState, 'robot_0/episode_state', self.episodes, quality.state),
            (Clock, '/clock', self.clock, quality.image),
        ):
            user.create_subscription(kind, topic, heard.append, profile)
        controller = 'robot_0/joint_trajectory_controller/joint_trajectory'
        self.arm_trajectory = user.create_publisher(JointTrajectory, controller, quality.command)
        self.arm_positions = user.create_publisher(
            Float64MultiArray, 'robot_0/forward_position_controller/commands', quality.command
        )
        self.gripper = user.create_publisher(
            JointTrajectory, 'robot_0/gripper_controller/joint_trajectory', quality.command
        )
        self.requests = user.create_publisher(
            msg.EpisodeRequest, 'episode_request', quality.request
        )
        self.reset = user.create_client(Trigger, 'robot_0/reset')
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(user)
        self.node.autostart()
        publishers = (self.arm_trajectory, self.arm_positions, self.gripper, self.requests)
        self.until(lambda: all(p.get_subscription_count() for p in publishers))
        self.until(lambda: self.joint_states and self.episodes and self.tasks)

    def _arm(self, render):
        self.arm = RecordingArm(render)
        return self.arm

    def until(self, condition, timeout_s=20.0):
        spin_until(self.executor, condition, timeout_s)

    def run(self, duration_s):
        end = time.monotonic() + duration_s
        self.until(lambda: time.monotonic() > end)

    def close(self):
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()
        self.user.destroy_node()


@pytest.fixture
def world(ros, monkeypatch):
    worlds = []

    def make(**parameters):
        worlds.append(World(monkeypatch, **parameters))
        return worlds[-1]

    yield make
    for made in worlds:
        made.close()
    assert not [t.name for t in threading.enumerate() if t.name == 'physics']


def trajectory(names, *rows):
    message = JointTrajectory(joint_names=list(names))
    for time_s, positions in rows:
        nanoseconds = round(time_s * 1e9)
        message.points.append(
            JointTrajectoryPoint(
                positions=list(positions),
                velocities=[0.5] * len(positions),
                time_from_start=Duration(nanosec=nanoseconds),
            )
        )
    return message


def test_joint_states_are_those_of_the_description(world):
    """Seven joints and both fingers, from closed to open, stamped, one after another."""
    arm = world()
    arm.until(lambda: len(arm.joint_states) > 5)
    message = arm.joint_states[0]
    assert tuple(message.name) == (*panda_description().joints, *PANDA_GRIPPER_JOINTS)
    assert list(message.position) == [*range(7), 0.03, 0.02]
    stamps = [to_nanoseconds(m.header.stamp) for m in arm.joint_states]
    assert stamps == sorted(set(stamps))
    assert abs(stamps[0] - time.time_ns()) < 60e9
    assert not arm.clock


def test_commands_reach_the_arm_in_its_order_of_joints(world):
    """A trajectory named backwards; positions as they are; a gripper trajectory's last point."""
    arm = world()
    backwards = panda_description().joints[::-1]
    arm.arm_trajectory.publish(trajectory(backwards, (0.1, range(7)), (0.2, range(7))))
    arm.arm_positions.publish(Float64MultiArray(data=[0.1] * 7))
    arm.gripper.publish(trajectory(PANDA_GRIPPER_JOINTS[:1], (0.5, [0.02])))
    arm.until(lambda: arm.arm.trajectories and arm.arm.positions and arm.arm.openings)
    ((first, second), delay) = arm.arm.trajectories[0]
    assert delay is None
    assert first.positions.tolist() == [6, 5, 4, 3, 2, 1, 0]
    assert second.time_from_start_s == pytest.approx(0.2)
    assert first.accelerations is None
    assert arm.arm.positions[0].tolist() == [0.1] * 7
    assert arm.arm.openings == [0.02]


def test_trajectory_of_other_joints_is_refused(world):
    """What follows is a sentinel: it arrives, the refused one never did."""
    arm = world()
    arm.arm_trajectory.publish(trajectory(['elbow'], (0.1, [0.0])))
    arm.arm_trajectory.publish(trajectory(panda_description().joints, (0.1, [3.0] * 7)))
    arm.until(lambda: arm.arm.trajectories)
    assert arm.arm.trajectories[0][0][0].positions.tolist() == [3.0] * 7


def test_success_is_published_and_the_service_begins_the_next_scene(world):
    """Held-out scenes in the order of `smoothvla eval`; the verdict is latched."""
    arm = world(suite='libero_object', task=1)
    first = arm.episodes[-1]
    assert first.phase == msg.EpisodeState.PHASE_RUNNING
    assert first.instruction == 'close the hand' == arm.tasks[-1].data
    arm.gripper.publish(trajectory(PANDA_GRIPPER_JOINTS, (0.5, [0.0, 0.0])))
    arm.until(lambda: arm.episodes[-1].phase == msg.EpisodeState.PHASE_FINISHED)
    assert arm.episodes[-1].success
    assert arm.episodes[-1].samples > 0
    arm.until(arm.reset.service_is_ready)
    future = arm.reset.call_async(Trigger.Request())
    arm.until(future.done)
    assert future.result().success
    arm.until(lambda: arm.episodes[-1].attempt == 2)
    names = arm.arm.names
    assert [n.init_state % 5 for n in names] == [4, 4]
    assert names[0] != names[1]
    assert first.episode_id == f'libero_object/1/{names[0].init_state}/{names[0].scene_seed}'


def test_any_episode_can_be_named(world):
    """The request of the training graph; one for another robot, and an unknown one, do nothing."""
    arm = world()
    for robot, state in (('robot_1', 4), ('robot_0', 77), ('robot_0', 14)):
        arm.requests.publish(
            msg.EpisodeRequest(
                robot=robot, suite='libero_spatial', task=3, init_state=state, scene_seed=100_000
            )
        )
    arm.until(lambda: len(arm.arm.names) == 2)
    assert (arm.arm.names[1].task, arm.arm.names[1].init_state) == (3, 14)


def test_faster_than_real_time_the_twin_is_the_clock(world):
    """/clock and the stamps go faster than the wall's, and no faster than they were told to."""
    arm = world(speed=3.0)
    started, first = time.monotonic(), to_nanoseconds(arm.joint_states[-1].header.stamp)
    arm.until(lambda: to_nanoseconds(arm.joint_states[-1].header.stamp) > first + 3_000_000_000)
    assert 0.9 < time.monotonic() - started < 3.0
    arm.until(lambda: arm.clock)


def test_inactive_the_arm_obeys_nothing_and_goes_on_where_it_was(world):
    """A command of the meantime is not obeyed later either, and the scene is the same."""
    arm = world()
    assert arm.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    begun, heard = len(arm.arm.names), []
    command = arm.node._runner.command
    arm.node._runner.command = lambda given: (heard.append(given), command(given))
    arm.arm_positions.publish(Float64MultiArray(data=[0.1] * 7))
    arm.until(lambda: heard)
    arm.joint_states.clear()
    assert arm.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    arm.until(lambda: len(arm.joint_states) > 5)
    assert not arm.arm.positions
    assert len(arm.arm.names) == begun
    arm.arm_positions.publish(Float64MultiArray(data=[0.2] * 7))
    arm.until(lambda: arm.arm.positions)


def test_inactive_time_stands_still_and_a_scene_that_is_asked_for_waits(world):
    """It begins once the node is active again, with stamps of then."""
    arm = world()
    assert arm.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    arm.arm_positions.publish(Float64MultiArray(data=[0.1] * 7))
    arm.requests.publish(
        msg.EpisodeRequest(
            robot='robot_0', suite='libero_spatial', init_state=4, scene_seed=100_000
        )
    )
    arm.until(lambda: arm.node._runner._wanted)
    paused_ns, count = time.time_ns(), len(arm.arm.names)
    arm.run(0.2)
    assert to_nanoseconds(arm.joint_states[-1].header.stamp) < paused_ns
    arm.joint_states.clear()
    assert len(arm.arm.names) == count
    assert arm.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    arm.until(lambda: len(arm.arm.names) == count + 1 and len(arm.joint_states) > 5)
    assert not arm.arm.positions
    assert abs(to_nanoseconds(arm.joint_states[-1].header.stamp) - time.time_ns()) < 5e9


def test_instruction_of_one_s_own_is_what_the_policy_hears(world):
    """Instead of the task's."""
    arm = world(instruction='something else')
    assert arm.tasks[-1].data == arm.episodes[-1].instruction == 'something else'


def test_unknown_task_ends_the_node_in_one_line(world):
    """Before a scene is built."""
    with pytest.raises(UserError, match="task 99 of suite 'libero_spatial' is unknown"):
        world(task=99)


def test_a_scene_that_a_reset_came_into_has_no_verdict(monkeypatch):
    """It is cut short, before the next one begins: nobody knows whether it would have succeeded."""
    monkeypatch.setattr(runner_module, 'TwinCameras', NoCameras)
    said = []

    class Outlet:
        def __getattr__(self, name):
            return lambda *values: said.append(name)

    names = episode_names('libero_object', 0, Split.HELD_OUT, 2, seed=0)
    settings = RunnerSettings(1.0, False, 250.0, 20.0, 0.0)
    runner = TwinRunner(RecordingArm(None), names, settings, Outlet(), EpisodeLog(None), 0)
    thread = threading.Thread(target=runner.run)
    thread.start()
    assert runner.reset().wait(20.0)
    runner.stop()
    thread.join()
    assert [word for word in said if word != 'state'] == ['began', 'cut_short', 'began']
