"""The policy node on a real arm's topics: images and joints that share no stamp and no episode."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from graph_world import SeededPolicy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String
from waiting import spin_until

from smoothvla_ros import msg
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import WARNING
from smoothvla_ros.nodes.policy import node as policy_module
from smoothvla_ros.nodes.policy import weights as policy_weights
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.policy.node import PolicyNode
from smoothvla_ros.nodes.topics.image_conversion import to_image_message
from smoothvla_ros.nodes.topics.messages import to_joint_state
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.nodes.topics.robot_names import PANDA_GRIPPER_JOINTS, robot_topic
from smoothvla_ros.nodes.topics.stamps import to_stamp

ROBOTS = Path(__file__).parents[2] / 'config' / 'robots'
JOINTS = np.array([0.0, -0.2, 0.0, -2.2, 0.0, 2.2, 0.8])
MS = 1_000_000


class RecordingPolicy(SeededPolicy):
    """Remembers what it was shown."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def act(self, observations, *, temperature, seeds):
        self.seen += observations
        return super().act(observations, temperature=temperature, seeds=seeds)


class ArmWorld:
    """The node under test and a driver that speaks for cameras, arm and operator."""

    def __init__(self, monkeypatch, **parameters):
        self.policy = RecordingPolicy()
        monkeypatch.setattr(policy_weights, 'load_policy', lambda *arguments: self.policy)
        values = {'graph': 'real_arm', 'robots': 1, 'policy': 'x', 'instruction': 'first'}
        values |= {'trigger': 'every_observation', 'max_age_s': 10.0} | parameters
        self.node = PolicyNode(
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
        )
        self.driver = driver = Node('driver')
        quality = profiles('real_arm')
        self.cameras = {
            camera: driver.create_publisher(
                Image, f'robot_0/camera/{camera}/image_raw', quality.image
            )
            for camera in ('agentview', 'wrist')
        }
        joints = robot_topic('robot_0', parameters.get('joint_states', 'joint_states'))
        self.joint_states = driver.create_publisher(JointState, joints, quality.joint_states)
        self.task = driver.create_publisher(String, 'robot_0/task', quality.state)
        self.chunks: list[msg.ActionChunk] = []
        driver.create_subscription(
            msg.ActionChunk, 'robot_0/action_chunk', self.chunks.append, quality.command
        )
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.executor.add_node(driver)
        self.node.autostart()
        self.until(lambda: all(p.get_subscription_count() for p in self.publishers()))
        self.until(lambda: driver.count_publishers('robot_0/action_chunk'))

    def publishers(self):
        return [*self.cameras.values(), self.joint_states, self.task]

    def until(self, condition, timeout_s=10.0):
        spin_until(self.executor, condition, timeout_s)

    def send_joints(self, stamp, positions=JOINTS):
        names = (*panda_description().joints, *PANDA_GRIPPER_JOINTS)
        fingers = np.array([0.03, 0.02])
        self.joint_states.publish(to_joint_state(stamp, names, positions, 0 * JOINTS, fingers))

    def send_image(self, camera, stamp, brightness=1):
        image = to_image_message(np.full((16, 16, 3), brightness, np.uint8))
        image.header.stamp = to_stamp(stamp)
        self.cameras[camera].publish(image)

    def send_images(self, *stamps):
        for camera, stamp in zip(self.cameras, stamps, strict=True):
            self.send_image(camera, stamp)

    def observe(self, **joints):
        """Publish a whole observation; topics have no common order, so its images may be early."""
        stamp = time.time_ns()
        self.send_joints(stamp, **joints)
        for camera in self.cameras:
            self.send_image(camera, stamp)
        return stamp

    def answer(self, condition=lambda chunk: True, **joints):
        """Observe, as cameras do, again and again until a chunk is as wanted."""
        first, heard = time.time_ns(), len(self.chunks)

        def found():
            new = self.chunks[heard:]
            return [c for c in new if to_nanoseconds(c.observation_stamp) >= first and condition(c)]

        self.until(lambda: found() or not self.observe(**joints))
        return found()[0]

    def close(self):
        self.node.stop()
        self.executor.shutdown()
        self.node.destroy_node()
        self.driver.destroy_node()


@pytest.fixture
def world(ros, monkeypatch):
    worlds = []

    def make(**parameters):
        worlds.append(ArmWorld(monkeypatch, **parameters))
        return worlds[-1]

    yield make
    for made in worlds:
        made.close()


def test_images_are_answered_with_the_joints_of_their_moment(world):
    """Of a burst of joint samples the one nearest to the images is seen; nothing shares a stamp."""
    arm = world()
    now = time.time_ns()
    for i in range(50):
        arm.send_joints(now - (50 - i) * MS, JOINTS + 0.001 * i)
    arm.until(lambda: arm.chunks or arm.send_images(now - 29 * MS - 300_000, now - 20 * MS))
    (chunk,) = arm.chunks
    assert to_nanoseconds(chunk.observation_stamp) == now - 29 * MS - 300_000
    (seen,) = arm.policy.seen
    assert np.allclose(seen.joint_positions, JOINTS + 0.021)
    assert (chunk.episode_id, chunk.horizon, chunk.dimension) == ('', 4, 7)
    assert chunk.epoch > 0
    assert chunk.seq == 1


def test_a_policy_of_joints_answers_in_rad(world):
    """Pins that the range of LIBERO's deltas holds for these alone: an elbow stands at -2.2 rad."""
    arm = world()
    arm.policy.spec = replace(arm.policy.spec, action_space='joint_positions')
    inferred = arm.policy.act
    arm.policy.act = lambda *seen, **how: replace(
        inferred(*seen, **how), actions=np.full((1, 4, 7), -2.2)
    )
    chunk = arm.answer()
    assert chunk.action_space == 'joint_positions'
    assert not chunk.refusal
    assert set(chunk.actions) == {-2.2}


def test_chunks_are_stamped_with_the_frame_of_the_robot_file(world, tmp_path):
    """Another arm's base has another name, and the guard's own messages have it."""
    panda = (ROBOTS / 'panda.yaml').read_text()
    (file := tmp_path / 'mine.yaml').write_text(panda.replace(': panda_link0', ': universe'))
    assert world(robot=str(file)).answer().header.frame_id == 'universe'


def test_fingers_reach_the_policy_as_it_was_trained(world):
    """joint_states counts both fingers from closed to open; LIBERO the second one negative."""
    arm = world()
    arm.answer()
    assert arm.policy.seen[0].gripper_positions.tolist() == [0.03, -0.02]


def test_hand_with_a_driver_of_its_own(world):
    """A Franka hand publishes its fingers apart from the arm; both halves make one observation."""
    arm = world(gripper_states='franka_gripper/joint_states')
    hand = arm.driver.create_publisher(
        JointState, 'robot_0/franka_gripper/joint_states', profiles('real_arm').joint_states
    )
    arm.until(hand.get_subscription_count)

    def send_hand():
        message = JointState(name=list(PANDA_GRIPPER_JOINTS), position=[0.01, 0.02])
        message.header.stamp = to_stamp(time.time_ns())
        hand.publish(message)

    arm.until(lambda: arm.chunks or send_hand() or not arm.observe())
    assert arm.policy.seen[0].gripper_positions.tolist() == [0.01, -0.02]
    assert np.allclose(arm.policy.seen[0].joint_positions, JOINTS)


@pytest.mark.parametrize('topic', ['franka/joint_states', '/joint_states'])
def test_arm_whose_driver_has_a_topic_of_its_own(world, topic):
    """In the robot's namespace, or with a / anywhere; the gripper's is named in the same way."""
    arm = world(joint_states=topic, gripper_states=topic)
    assert not arm.node.count_subscribers('robot_0/joint_states')
    assert arm.answer().horizon
    assert np.allclose(arm.policy.seen[0].joint_positions, JOINTS)
    assert arm.policy.seen[0].gripper_positions.tolist() == [0.03, -0.02]


@pytest.mark.parametrize('name', ['joint_states', 'gripper_states'])
def test_one_topic_is_not_read_for_several_robots(name):
    """Each would be taken to stand where one of them stands."""
    with pytest.raises(UserError, match=f'policy node: {name}=/joints is the topic of one robot'):
        PolicyConfig(robots=2, **{name: '/joints'})


def test_arm_and_gripper_that_share_a_topic_are_told_apart(world):
    """Two publishers on joint_states, the gripper's stamps a little older: nothing is lost."""
    arm = world(gripper_states='joint_states')
    fingers = arm.driver.create_publisher(
        JointState, 'robot_0/joint_states', profiles('real_arm').joint_states
    )
    arm.until(fingers.get_subscription_count)

    def observe():
        stamp = time.time_ns()
        names = panda_description().joints
        joints = JointState(name=names, position=JOINTS.tolist(), velocity=[0.0] * 7)
        joints.header.stamp = to_stamp(stamp)
        arm.joint_states.publish(joints)
        hand = JointState(name=list(PANDA_GRIPPER_JOINTS), position=[0.01, 0.02])
        hand.header.stamp = to_stamp(stamp - 2 * MS)
        fingers.publish(hand)
        arm.send_images(stamp, stamp)

    arm.until(lambda: len(arm.chunks) > 3 or observe())
    assert not any(chunk.refusal for chunk in arm.chunks)
    assert all(seen.gripper_positions.tolist() == [0.01, -0.02] for seen in arm.policy.seen)
    assert all(np.allclose(seen.joint_positions, JOINTS) for seen in arm.policy.seen)


def test_joints_of_another_arm_are_named(world):
    """Nothing is decided, and /diagnostics says which joints came instead of the arm's."""
    arm = world()
    robot = arm.node._robots['robot_0']

    def observe():
        stamp = time.time_ns()
        message = JointState(name=['fr3_joint1'], position=[0.0], velocity=[0.0])
        message.header.stamp = to_stamp(stamp)
        arm.joint_states.publish(message)
        arm.send_images(stamp, stamp)

    arm.until(lambda: robot._states['joint_states'].unknown_joints() or observe())
    said = []
    robot._diagnostics.report = lambda *line: said.append(line)
    robot.report()
    ((_, level, text, _),) = said
    assert level == WARNING
    assert "no joint 'panda_joint1', only fr3_joint1; set the parameters robot" in text
    arm.answer()
    assert robot._states['joint_states'].unknown_joints() == ''


def test_instruction_is_changed_by_topic(world):
    """The next observation is answered for the new task; an empty one changes nothing."""
    arm = world()
    arm.answer()
    for text in ('second', '  '):
        arm.task.publish(String(data=text))
        arm.answer(lambda chunk: arm.policy.seen[-1].instruction == 'second')
    assert arm.policy.seen[0].instruction == 'first'


def test_observation_that_is_not_finite_is_refused_with_its_reason(world):
    """NaN from a joint driver gives a refusal and no action; the next good one is answered."""
    arm = world()
    refusal = arm.answer(positions=JOINTS * np.nan)
    assert 'not finite' in refusal.refusal
    assert refusal.horizon == len(refusal.actions) == 0
    assert arm.answer(lambda chunk: not chunk.refusal).horizon == 4


def test_one_chunk_for_each_chunk_period(world):
    """Before the end of a chunk one observation is answered, not every one."""
    arm = world(trigger='before_chunk_end', control_period_s=1.0, lead_s=0.0, max_lead_s=0.0)
    arm.answer()
    last = [arm.observe() for _ in range(5)][-1]
    slot = arm.node._robots['robot_0'].slot
    arm.until(lambda: slot._parts['wrist'][-1][0] == last)
    assert len(arm.chunks) == 1
    assert arm.policy.calls == 1


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        ({'trigger': 'sometimes'}, 'choose from every_observation, before_chunk_end'),
        ({'gripper_scale': [1.0]}, 'gripper_scale has 1 numbers for 2 gripper_joints'),
        ({'max_lead_s': 0.1}, 'max_lead_s=0.1 is below lead_s=0.12'),
        ({'max_age_s': 0.0}, 'max_age_s=0.0 is too small'),
    ],
)
def test_bad_settings_are_user_errors(world, parameters, words):
    """The node does not configure, and says why."""
    with pytest.raises(UserError, match=words):
        world(**parameters)


def test_an_inference_that_outlives_its_node_never_answers_for_the_next(world, monkeypatch):
    """Two threads would number and answer the same observations, on a real arm with two chunks."""
    monkeypatch.setattr(policy_module, 'STOP_TIMEOUT_S', 0.05)
    arm = world()
    begun, goes_on = threading.Event(), threading.Event()
    act = arm.policy.act

    def slow(observations, *, temperature, seeds):
        begun.set()
        assert goes_on.wait(60.0)
        return act(observations, temperature=temperature, seeds=seeds)

    monkeypatch.setattr(arm.policy, 'act', slow)
    arm.until(lambda: begun.is_set() or not arm.observe())
    old = arm.node._thread
    assert arm.node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
    with pytest.raises(UserError, match='the inference of before is still busy'):
        arm.node.activate()
    # Whoever ends the node stops it two more times; patience with each would outlast a launch's.
    monkeypatch.setattr(policy_module, 'STOP_TIMEOUT_S', 20.0)
    began = time.monotonic()
    arm.node.stop()
    assert time.monotonic() - began < 10.0
    goes_on.set()
    old.join(60.0)
    assert not old.is_alive()
    assert not arm.chunks
    assert arm.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    assert arm.answer().epoch
    assert [t.name for t in threading.enumerate()].count(policy_module.INFERENCE) == 1
