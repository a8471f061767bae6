"""The real nodes over real DDS, around a robot and a policy that cost nothing."""

from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace

import numpy as np
import torch
from lock_step_world import FakeWorker
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.episode_ledger import LedgerSettings
from smoothvla_ros.nodes.jerk_monitor.node import JerkMonitor
from smoothvla_ros.nodes.jobs.topic_rollouts import TopicRolloutSource
from smoothvla_ros.nodes.libero_bridge import node as libero_bridge
from smoothvla_ros.nodes.policy import weights as policy_weights
from smoothvla_ros.nodes.policy.node import PolicyNode
from smoothvla_ros.nodes.topics.quality_of_service import profiles
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation

HORIZON = 22
START = np.array([0.0, -0.2, 0.0, -2.2, 0.0, 2.2, 0.8])


class SwayingWorker(FakeWorker):
    """A worker whose joints sway, differently for each scene, and depend on the actions."""

    def __init__(self):
        super().__init__()
        self.name = None
        self.spoiled = False

    def _observe(self):
        image = np.full((16, 16, 3), self.steps + self.name.init_state, np.uint8)
        positions = self.positions[-1].copy()
        if self.spoiled:
            positions[2] = np.nan
        return Observation(
            {'agentview': image, 'wrist': image[::-1] + 1},
            positions,
            np.full(7, 0.1 * self.steps),
            np.array([0.04, -0.04]),
            f'task {self.name.task}',
        )

    def reset(self, name, timeout_s):
        self.name, self.steps, self.actions = name, 0, []
        self.positions = [START + 0.01 * name.init_state]
        return self._observe()

    def execute(self, actions, timeout_s, observe=True):
        result = super().execute(actions, timeout_s, observe=False)
        for action in self.actions[len(self.positions) - 1 :]:
            sway = 0.02 * np.sin(0.7 * len(self.positions))
            self.positions.append(self.positions[-1] + sway + 0.001 * action)
        taken = np.array(self.positions[-result.executed :])
        return SimpleNamespace(
            observation=self._observe() if observe else None,
            executed=result.executed,
            success=result.success,
            joint_positions=taken,
            joint_velocities=np.full((result.executed, 7), 0.1 * self.steps),
            gripper_positions=result.gripper_positions,
        )

    def trajectory(self):
        base = super().trajectory()
        return type(base)(**{**vars(base), 'joint_positions': np.array(self.positions)})


class SeededPolicy:
    """Its tokens follow from the seed and from every number of the observation."""

    spec = PolicySpec(4, 7, 256, 'libero_osc_pose', ('agentview', 'wrist'), 16)
    module = torch.nn.Identity()

    def __init__(self):
        self.calls = 0

    def act(self, observations, *, temperature, seeds):
        self.calls += 1
        tokens = np.stack([self._tokens(o, s) for o, s in zip(observations, seeds, strict=True)])
        return ActionChunks(tokens / 127.5 - 1.0, tokens, -tokens.astype(np.float32) / 3)

    def _tokens(self, observation, seed):
        mixed = int(observation.joint_positions.sum() * 1e9) ^ int(
            sum(int(image.sum()) for image in observation.images.values())
        )
        generator = np.random.default_rng([seed, mixed & 0xFFFFFFFF, len(observation.instruction)])
        return generator.integers(0, 256, (4, 7))


def request(episode_id, *, version=0, init_state=0, task=0):
    name = EpisodeName('libero_spatial', task, init_state, 0)
    return EpisodeRequest(episode_id, name, 0, 1.0, 11, version, horizon=HORIZON)


class Graph:
    """Bridge, policy, monitor and a trainer's source in one process, on one executor."""

    def __init__(self, monkeypatch, folder):
        self.workers = [SwayingWorker(), SwayingWorker()]
        self.policy = SeededPolicy()
        pool = SimpleNamespace(workers=self.workers, close=lambda: None)
        monkeypatch.setattr(libero_bridge, 'WorkerPool', lambda *arguments: pool)
        monkeypatch.setattr(policy_weights, 'load_policy', lambda *arguments: self.policy)
        self.folder = folder
        (folder / 'weights').write_text('1')
        settings = Parameter('resend_s', value=1.0), Parameter('chunk_timeout_s', value=4.0)
        self.bridge = libero_bridge.LiberoBridge(parameter_overrides=list(settings))
        self.policy_node = PolicyNode()
        self.monitor = JerkMonitor()
        self.trainer = Node('trainer')
        self.jerk_states: list[msg.JerkState] = []
        for robot in ('robot_0', 'robot_1'):
            self.trainer.create_subscription(
                msg.JerkState,
                f'{robot}/jerk',
                self.jerk_states.append,
                profiles('lock_step').result,
            )
        self.executor = SingleThreadedExecutor()
        for node in (self.bridge, self.policy_node, self.monitor, self.trainer):
            self.executor.add_node(node)
        self.source = TopicRolloutSource(
            self.trainer, 2, LedgerSettings(request_attempts=2, completion_s=1.0)
        )
        for node in (self.bridge, self.policy_node, self.monitor):
            node.autostart()
        self.thread = threading.Thread(target=self._spin)
        self.thread.start()

    def _spin(self):
        with contextlib.suppress(ExternalShutdownException):
            self.executor.spin()

    def collect(self, *requests):
        """The episodes by id, and what was lost."""
        episodes = {e.request.episode_id: e for e in self.source.collect(requests)}
        return episodes, {lost.request.episode_id: lost.reason for lost in self.source.lost()}

    def close(self):
        for node in (self.bridge, self.policy_node, self.monitor):
            node.stop()
        self.executor.shutdown()
        self.thread.join()
        for node in (self.bridge, self.policy_node, self.monitor, self.trainer):
            node.destroy_node()


__all__ = ['HORIZON', 'Graph', 'SeededPolicy', 'SwayingWorker', 'request']
