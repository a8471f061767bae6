"""Recordings of a deployment to test with, written message by message: an arm that sways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rclpy.serialization import serialize_message

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.protocol import Answer, Decision, Question
from smoothvla_ros.kinematics.robot import panda_description
from smoothvla_ros.nodes.topics.message_definitions import message_definition
from smoothvla_ros.nodes.topics.messages import to_action_chunk, to_joint_state, to_rollout_step
from smoothvla_ros.nodes.topics.stamps import to_stamp
from smoothvla_ros.policies.policy import Policy
from smoothvla_ros.recordings.writer import BagWriter
from smoothvla_ros.records import Observation

REST = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
START_NS = 1_790_000_000 * 10**9
EPOCH, CHUNK, CHUNKS = 7, 8, 4
MARGIN_S = 0.3
JOINTS = '/robot_0/joint_states'
RATE_HZ = 100.0


@dataclass(frozen=True)
class Played:
    """One episode of four chunks.  sway: rad, how far the joints swing; period_s: of a step."""

    name: str
    outcome: str
    sway: float = 0.02
    period_s: float = 0.05


class ArmBag:
    """Collects messages by time and writes them as the recorder would have."""

    def __init__(self, sha256: str, policy: Policy | None = None) -> None:
        """Record weights of this hash; without `policy` the tokens are zeros."""
        self._policy = policy
        self._messages: list[tuple[int, str, Any]] = []
        self._seq = 0
        self.add(START_NS, '/policy_in_use', msg.PolicyUpdate(version=0, path='', sha256=sha256))

    def add(self, now_ns: int, topic: str, message: Any) -> None:
        """Take one message."""
        self._messages.append((now_ns, topic, message))

    def play(
        self, start_s: float, played: Played, joints: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Take all messages of an episode that begins `start_s` after the first.

        joints: names of the joints on each topic of joint states; the Panda's on one.
        """
        begin_ns = START_NS + round(start_s * 1e9)
        period_ns = round(played.period_s * 1e9)
        for index in range(CHUNKS):
            self._decide(begin_ns + index * CHUNK * period_ns, index, played)
        end_ns = begin_ns + CHUNKS * CHUNK * period_ns
        label = msg.EpisodeLabel(
            robot='robot_0',
            episode_id=played.name,
            first_stamp=to_stamp(begin_ns),
            last_stamp=to_stamp(end_ns),
            outcome=played.outcome,
        )
        self.add(end_ns + 1, '/robot_0/episode_label', label)
        seconds = np.arange(-MARGIN_S, (end_ns - begin_ns) * 1e-9 + MARGIN_S, 1.0 / RATE_HZ)
        for topic, names in (joints or {JOINTS: panda_description().joints}).items():
            for second in seconds:
                now_ns = begin_ns + round(second * 1e9)
                positions = REST + played.sway * np.sin(5.0 * second + np.arange(7))
                self.add(
                    now_ns,
                    topic,
                    to_joint_state(
                        now_ns, names, positions[: len(names)], np.zeros(len(names)), np.empty(0)
                    ),
                )

    def write(self, path: Path) -> Path:
        """Write the recording; returns its folder."""
        writer = BagWriter(path)
        for topic, message in {topic: message for _, topic, message in self._messages}.items():
            package = type(message).__module__.split('.')[0]
            name = f'{package}/msg/{type(message).__name__}'
            writer.add_topic(topic, name, *message_definition(name))
        for now_ns, topic, message in sorted(self._messages, key=lambda item: item[0]):
            writer.write(topic, now_ns, serialize_message(message))
        writer.close()
        return path

    def _decide(self, sent_ns: int, index: int, played: Played) -> None:
        self._seq += 1
        seen_ns = sent_ns - 20_000_000
        image = np.full((128, 128, 3), self._seq % 255, np.uint8)
        observation = Observation(
            {'agentview': image, 'wrist': image}, REST, np.zeros(7), np.zeros(2), 'go'
        )
        tokens = np.zeros((CHUNK, 7), np.int64)
        actions, log_probs = np.zeros((CHUNK, 7)), np.zeros((CHUNK, 7), np.float32)
        if self._policy is not None:
            answer = self._policy.act([observation], temperature=0.5, seeds=[self._seq])
            actions, tokens, log_probs = (
                rows[0] for rows in (answer.actions, answer.tokens, answer.log_probs)
            )
        question = Question('', 0, index, seen_ns, 0)
        decision = Decision(
            'robot_0', question, EPOCH, observation, tokens, log_probs, temperature=0.5
        )
        self.add(sent_ns, '/rollout_step', to_rollout_step(decision, panda_description().joints))
        said = Answer(question, EPOCH, self._seq, actions, tokens, log_probs)
        chunk = to_action_chunk(said, sent_ns, played.period_s, 'libero_osc_pose', 'panda_link0')
        self.add(sent_ns, '/robot_0/action_chunk', chunk)
        state = msg.GuardState(phase=2, epoch=EPOCH, seq=self._seq, chunks=self._seq)
        state.header.stamp = to_stamp(sent_ns + 1)
        self.add(sent_ns + 1, '/robot_0/motion_guard/state', state)


def arm_bag(
    path: Path,
    sha256: str,
    episodes: Sequence[Played],
    joints: Mapping[str, Sequence[str]] | None = None,
    policy: Policy | None = None,
) -> Path:
    """Write a recording of these episodes, one after another; returns its folder."""
    bag, start_s = ArmBag(sha256, policy), 1.0
    for played in episodes:
        bag.play(start_s, played, joints)
        start_s += CHUNK * CHUNKS * played.period_s + 1.0
    return bag.write(path)
