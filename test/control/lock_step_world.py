"""A robot, a link and a clock for the protocol's tests: no process, no topic, no waiting."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace

import numpy as np

from smoothvla_ros.control.lock_step.protocol import Answer, EpisodeState, Question
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation, Trajectory

CHUNK = 4
PERIOD_NS = 50_000_000


def request(episode_id='e0', *, attempt=0, task=0, version=1, group=0):
    """An episode request of a few defaults."""
    name = EpisodeName('libero_spatial', task, 0, 0)
    return EpisodeRequest(episode_id, name, group, 1.0, 7, version, attempt)


def observation(value=0.0):
    """A tiny observation whose numbers all follow from `value`."""
    image = np.full((4, 4, 3), int(value) % 256, np.uint8)
    return Observation(
        {'agentview': image, 'wrist': image + 1},
        np.full(7, float(value)),
        np.zeros(7),
        np.array([0.04, -0.04]),
        'pick up the bowl',
    )


class FakeWorker:
    """A simulation worker whose joints count the control steps; it succeeds at `success_at`."""

    def __init__(self, success_at=10**6):
        self.success_at = success_at
        self.steps = 0
        self.actions = []
        self.restarts = 0
        self.error = None
        self.pid = 1234

    def reset(self, name, timeout_s):
        self.steps, self.actions = 0, []
        return observation(name.task)

    def execute(self, actions, timeout_s, observe=True):
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        executed = min(len(actions), self.success_at - self.steps)
        self.actions += [np.array(action, dtype=np.float64) for action in actions[:executed]]
        positions = np.arange(self.steps + 1, self.steps + executed + 1)[:, None] * np.ones(7)
        self.steps += executed
        return SimpleNamespace(
            observation=observation(self.steps) if observe else None,
            executed=executed,
            success=self.steps >= self.success_at,
            joint_positions=positions,
            joint_velocities=np.zeros((executed, 7)),
            gripper_positions=np.tile([0.04, -0.04], (executed, 1)),
        )

    def trajectory(self):
        rows = self.steps + 1
        return Trajectory(
            actions=np.array(self.actions).reshape(self.steps, 7),
            joint_positions=np.arange(rows)[:, None] * np.ones(7),
            joint_velocities=np.zeros((rows, 7)),
            tool_positions=np.zeros((rows, 3)),
            tool_rotations=np.tile(np.eye(3), (rows, 1, 1)),
            substep_joint_positions=np.zeros((self.steps * 2 + 1, 7), np.float32),
            control_period_s=0.05,
            substep_period_s=0.025,
        )

    def restart(self):
        self.restarts += 1


class FakeLink:
    """Notes what a robot sends; answers are scripted, and time passes only while it waits."""

    def __init__(self):
        self.now = 100.0
        self.states: list[EpisodeState] = []
        self.joint_stamps: list[int] = []
        self.images: list[int] = []
        self.script: deque = deque()
        self.reason = ''
        self.seq = 0

    def announce(self, state):
        self.states.append(state)

    def send_joints(self, stamps_ns, positions, velocities, gripper):
        assert len(stamps_ns) == len(positions) == len(velocities) == len(gripper)
        self.joint_stamps += stamps_ns

    def send_images(self, stamp_ns, observation):
        self.images.append(stamp_ns)

    def interrupted(self):
        return self.reason

    def wait_for_answer(self, timeout_s):
        """Take the next step of the script: an answer, a function of the question, or silence."""
        step = self.script.popleft() if self.script else self.answer
        if step is None:
            self.now += timeout_s
            return None
        return step() if callable(step) else step

    def answer(self, *, epoch=1, seq=None, refusal='', actions=None, **changes):
        """The answer to the newest observation, with the wrongs that a test asks for."""
        state = self.states[-1]
        stamp = self.images[-1]
        index = (stamp - state.first_stamp_ns) // (CHUNK * PERIOD_NS)
        question = Question(
            state.episode_id, state.attempt, index, stamp, state.policy_version
        )._replace(**changes)
        self.seq += 1
        chunk = np.full((CHUNK, 7), 0.01 * index) if actions is None else actions
        tokens = np.zeros(chunk.shape, np.int64)
        return Answer(
            question,
            epoch,
            self.seq if seq is None else seq,
            chunk,
            tokens,
            np.zeros(chunk.shape, np.float32),
            refusal,
        )
