"""Training and deployment: one policy node, one monitor, one set of files, the same chunks."""

from __future__ import annotations

import functools
import time
from pathlib import Path

import numpy as np
from graph_world import Graph, SeededPolicy, request
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from smoothvla_ros import msg
from smoothvla_ros.nanoseconds import to_nanoseconds
from smoothvla_ros.nodes.launch_runner.plan import make_plan
from smoothvla_ros.nodes.policy import weights as policy_weights
from smoothvla_ros.nodes.policy.node import PolicyNode
from smoothvla_ros.nodes.topics.quality_of_service import (
    JOINT_DEPTH,
    SHARED_DEPTH,
    profiles,
    with_depth,
)
from smoothvla_ros.policies.weights_folder import folder_sha256

LAUNCH = Path(__file__).parents[2] / 'launch'
TOPICS = {
    'camera/agentview/image_raw': (Image, 'image'),
    'camera/wrist/image_raw': (Image, 'image'),
    'joint_states': (JointState, 'joint_states'),
}


class SeedlessPolicy(SeededPolicy):
    """Decides by every number of the observation and by nothing else, as a greedy policy does."""

    def _tokens(self, observation, seed):
        fingers = round(float(observation.gripper_positions @ [1e4, 1e5]))
        velocities = round(float(observation.joint_velocities.sum() * 1e6))
        return super()._tokens(observation, abs(fingers * 31 + velocities))


def files(launch_file, executable, **arguments):
    """The names of the parameter files that a graph gives to a node."""
    plan = make_plan(LAUNCH / launch_file, arguments)
    (node,) = [node for node in plan.nodes if node.executable == executable]
    return [item.name for item in node.parameters if isinstance(item, Path)]


def test_train_and_deploy_share_the_files_of_policy_and_monitor():
    """Only the file of the graph itself differs."""
    for node in ('policy', 'jerk_monitor'):
        trained = files('train.launch.py', node)
        deployed = files('deploy.launch.py', node, hardware='twin')
        assert trained[0] == deployed[0] == f'{node}.yaml'
        assert (trained[1:], deployed[1:]) == (['train.yaml'], ['deploy.yaml'])


def record(graph, robots):
    """Keep everything that a policy sees and says in the training graph."""
    heard = {name: [] for name in ('chunks', *TOPICS)}
    quality = profiles('lock_step')
    for robot in robots:
        for topic, (kind, offered) in TOPICS.items():
            # One message may come before the one before it was taken.
            profile = with_depth(getattr(quality, offered), JOINT_DEPTH)
            graph.trainer.create_subscription(
                kind, f'{robot}/{topic}', heard[topic].append, profile
            )
        graph.trainer.create_subscription(
            msg.ActionChunk,
            f'{robot}/action_chunk',
            heard['chunks'].append,
            with_depth(quality.command, SHARED_DEPTH),
        )
    return heard


def answered(heard, expected):
    """Wait until that many observations are there with their chunks; topics have no order."""
    deadline = time.monotonic() + 20.0
    while True:
        found = {to_nanoseconds(chunk.observation_stamp): chunk for chunk in heard['chunks']}
        missing = [
            (topic, stamp)
            for topic in TOPICS
            for stamp in found.keys() - {to_nanoseconds(m.header.stamp) for m in heard[topic]}
        ]
        if len(found) >= expected and not missing:
            return found
        assert time.monotonic() < deadline, f'{len(found)} of {expected} chunks, lacking {missing}'
        time.sleep(0.01)


def test_recorded_run_gives_the_same_chunks_on_a_real_arm(ros, monkeypatch, tmp_path):
    """The messages of a training episode, sent to the node in the graph of a real arm."""
    monkeypatch.setattr('graph_world.SeededPolicy', SeedlessPolicy)
    graph = Graph(monkeypatch, tmp_path)
    heard = record(graph, ('robot_0', 'robot_1'))
    try:
        graph.source.update_policy(0, graph.folder, folder_sha256(graph.folder))
        episodes, lost = graph.collect(request('recorded', init_state=2))
        assert not lost
        instruction = episodes['recorded'].chunks[0].observation.instruction
        recorded = answered(heard, 6)
    finally:
        graph.close()

    monkeypatch.setattr(policy_weights, 'load_policy', lambda *arguments: SeedlessPolicy())
    values = {
        'graph': 'real_arm',
        'robots': 1,
        'policy': 'x',
        'instruction': instruction,
        'trigger': 'every_observation',
        'max_age_s': 10.0,
    }
    node = PolicyNode(parameter_overrides=[Parameter(k, value=v) for k, v in values.items()])
    # The recording's own time, so that its observations are not old.
    monkeypatch.setattr(node.get_clock(), 'now', functools.partial(_at, min(recorded)))
    driver, replayed = Node('replay'), {}
    quality = profiles('real_arm')
    publishers = {
        topic: driver.create_publisher(kind, f'robot_0/{topic}', getattr(quality, profile))
        for topic, (kind, profile) in TOPICS.items()
    }
    driver.create_subscription(
        msg.ActionChunk,
        'robot_0/action_chunk',
        lambda m: replayed.setdefault(to_nanoseconds(m.observation_stamp), m),
        quality.command,
    )
    task = driver.create_publisher(String, 'robot_0/task', quality.state)
    executor = SingleThreadedExecutor()
    for spun in (node, driver):
        executor.add_node(spun)
    node.autostart()
    try:
        task.publish(String(data=instruction))
        deadline = time.monotonic() + 60.0
        for stamp in sorted(recorded):
            while stamp not in replayed:
                assert time.monotonic() < deadline, 'waited in vain'
                for topic, publisher in publishers.items():
                    for message in heard[topic]:
                        if to_nanoseconds(message.header.stamp) == stamp:
                            publisher.publish(message)
                executor.spin_once(timeout_sec=0.1)
    finally:
        node.stop()
        executor.shutdown()
        node.destroy_node()
        driver.destroy_node()
    for stamp, chunk in recorded.items():
        assert np.array_equal(replayed[stamp].tokens, chunk.tokens)
        assert np.array_equal(replayed[stamp].actions, chunk.actions)
        assert replayed[stamp].action_space == chunk.action_space
        assert replayed[stamp].dt == chunk.dt


def _at(nanoseconds):
    from rclpy.time import Time

    return Time(nanoseconds=nanoseconds)
