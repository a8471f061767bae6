"""The policy on topics: one node answers every robot, simulated or real."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch

from smoothvla_ros import msg
from smoothvla_ros.control.lock_step.observation_slot import PendingObservation
from smoothvla_ros.control.lock_step.policy_desk import Decide, PolicyDesk, Refuse, Repeat, Work
from smoothvla_ros.control.lock_step.protocol import Answer, Decision
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nanoseconds import whole_nanoseconds
from smoothvla_ros.nodes.base.diagnostics import ERROR, OK, WARNING, Diagnostics
from smoothvla_ros.nodes.base.heartbeat import Heartbeat
from smoothvla_ros.nodes.base.lifecycle import AutostartNode
from smoothvla_ros.nodes.base.parameters import declare
from smoothvla_ros.nodes.base.running import run_node
from smoothvla_ros.nodes.policy.config import PolicyConfig
from smoothvla_ros.nodes.policy.live_robot import LiveRobot
from smoothvla_ros.nodes.policy.lock_step_robot import LockStepRobot
from smoothvla_ros.nodes.policy.robot import PolicyRobot, Shared
from smoothvla_ros.nodes.policy.weights import PolicyWeights, to_policy_update
from smoothvla_ros.nodes.topics.messages import to_rollout_step
from smoothvla_ros.nodes.topics.quality_of_service import Graph, profiles
from smoothvla_ros.nodes.topics.robot_names import robot_names
from smoothvla_ros.policies.checked_answer import checked_answer
from smoothvla_ros.policies.policy import ActionChunks
from smoothvla_ros.policies.seeds import chunk_seed
from smoothvla_ros.records import Observation

STOP_TIMEOUT_S = 2.0
INFERENCE = 'inference'
REPORT_PERIOD_S = 1.0


class PolicyNode(AutostartNode):
    """Answers every observation once, and the same observation always with the same answer.

    The executor's thread only fills slots; one thread loads weights and infers, so that weights
    change between two inferences and never within one.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__('policy', **arguments)
        self._changed = threading.Condition()
        self._robots: dict[str, PolicyRobot] = {}
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._epoch = 0
        self._work: Work | None = None
        self._heartbeat: Heartbeat | None = None

    def configure(self) -> None:
        self._config = config = declare(self, PolicyConfig)
        torch.set_num_threads(config.threads)
        self.drains_topics = config.graph == Graph.REAL_ARM
        quality = profiles(config.graph)
        self._diagnostics = Diagnostics(self)
        robot = load_robot_description(config.robot, config.urdf)
        self._joints = robot.joints
        self._weights = PolicyWeights(config.device, config.cameras, robot.arm())
        shared = Shared(
            self,
            config,
            robot.joints,
            robot.base_frame,
            quality,
            self._changed,
            self._diagnostics,
        )
        robot_kind = LiveRobot if config.graph == Graph.REAL_ARM else LockStepRobot
        self._robots = {name: robot_kind(shared, name) for name in robot_names(config.robots)}
        slots = {name: robot.slot for name, robot in self._robots.items()}
        self._desk = PolicyDesk(slots, config.deterministic)
        self._rollout_steps = self.create_publisher(
            msg.RolloutStep, 'rollout_step', quality.rollout_step
        )
        self._in_use = self.create_publisher(msg.PolicyUpdate, 'policy_in_use', quality.state)
        self._updates = self.create_subscription(
            msg.PolicyUpdate, 'policy_update', self._on_update, quality.state
        )
        self._reports = self.create_timer(REPORT_PERIOD_S, self._report)
        if config.graph == Graph.REAL_ARM:
            topics = [f'{name}/heartbeat' for name in self._robots]
            period_s = config.heartbeat_period_s
            self._heartbeat = Heartbeat(self, topics, period_s, quality.command)
        if config.policy:
            self._weights.load_initial(config.policy)
            self._in_use.publish(to_policy_update(self._weights))
            self._expect_chunks()

    def activate(self) -> None:
        if self._thread is not None and self._thread.is_alive():
            # Two threads would answer the same observation twice.
            raise UserError(
                'policy node: the inference of before is still busy with its weights or an '
                'observation; activate again when it has ended'
            )
        self._ended.clear()
        # Later than the one before also where the clock was set back, or a guard would refuse it.
        self._epoch = max(time.time_ns(), self._epoch + 1)
        for robot in self._robots.values():
            robot.begin_epoch(self._epoch)
        # A daemon: importing and loading a model can outlast every patience with a node that stops.
        self._thread = threading.Thread(target=self._serve, name=INFERENCE, daemon=True)
        self._thread.start()
        if self._heartbeat is not None:
            self._heartbeat.start()

    def deactivate(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.stop()
        with self._changed:
            # Stopped again, it was waited for before: a launch has no patience with three waits.
            was_told = self._ended.is_set()
            self._ended.set()
            self._changed.notify_all()
        if self._thread is not None and not was_told:
            self._thread.join(STOP_TIMEOUT_S)

    def _report(self) -> None:
        for robot in self._robots.values():
            robot.report()

    def _on_update(self, message: msg.PolicyUpdate) -> None:
        with self._changed:
            self._weights.announce(message.version, message.path, message.sha256)
            self._changed.notify_all()

    def _serve(self) -> None:
        """Load, repeat, refuse or infer, whatever comes next, until the node stops."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended.is_set() or self._take_work())
                if self._ended.is_set():
                    return
                update, work = self._weights.take_announced(), self._work
            if update is not None:
                self._load(*update)
            elif work is not None:
                self._do(work)

    def _take_work(self) -> bool:
        """Take what is to be done next, weights first; return whether there is anything."""
        self._work = None
        if self._weights.announced:
            return True
        self._work = self._desk.next(self._weights.version)
        return self._work is not None

    def _load(self, version: int, path: str, sha256: str) -> None:
        try:
            self._weights.load(version, path, sha256)
        except UserError as error:
            if self._ended.is_set():
                return
            reason = f'policy version {version} is refused: {error}'
            self._diagnostics.report('weights', ERROR, reason)
            with self._changed:
                self._desk.refused_versions[version] = reason
            return
        if self._ended.is_set():
            # Whom it would be said to may be gone.
            return
        self._diagnostics.report('weights', OK, f'version {version} loaded')
        self._in_use.publish(to_policy_update(self._weights))
        self._expect_chunks()

    def _expect_chunks(self) -> None:
        period_ns = whole_nanoseconds(self._config.control_period_s)
        with self._changed:
            self._desk.refused_versions.pop(self._weights.version, None)
            for robot in self._robots.values():
                robot.expect_chunks(
                    period_ns * self._weights.policy.spec.chunk, self._weights.version
                )

    def _do(self, work: Work) -> None:
        if isinstance(work, Repeat):
            self._robots[work.robot].send(work.answer, self._weights.action_space)
        elif isinstance(work, Refuse):
            self._refuse(work.robot, work.pending, work.reason)
        elif isinstance(work, Decide):
            self._decide(work.batch)

    def _decide(self, batch: Mapping[str, PendingObservation]) -> None:
        """Infer for a batch; one that cannot be used is refused and does not spoil the others."""
        try:
            observations = {
                name: self._robots[name].observation(pending) for name, pending in batch.items()
            }
            chunks = self._act(batch.values(), list(observations.values()))
        except UserError as error:
            for name, pending in batch.items():
                if self._ended.is_set():
                    return
                if len(batch) == 1:
                    self._refuse(name, pending, str(error))
                else:
                    self._decide({name: pending})
            return
        if self._ended.is_set():
            return
        for row, (name, pending) in enumerate(batch.items()):
            answer = self._robots[name].answer(
                pending.question, chunks.actions[row], chunks.tokens[row], chunks.log_probs[row]
            )
            self._robots[name].send(answer, self._weights.action_space)
            if self._config.record_rollouts:
                self._record(name, answer, observations[name], pending.state.temperature)
            with self._changed:
                self._desk.settle(name, pending, answer)

    def _act(
        self, batch: Collection[PendingObservation], observations: Sequence[Observation]
    ) -> ActionChunks:
        if self._config.graph == Graph.LOCK_STEP:
            for observation in observations:
                self._weights.check_images(observation)
        states = [pending.state for pending in batch]
        seeds = [
            chunk_seed(state.seed, state.episode_id, pending.question.chunk_index)
            for state, pending in zip(states, batch, strict=True)
        ]
        policy = self._weights.policy
        chunks = policy.act(observations, temperature=states[0].temperature, seeds=seeds)
        return checked_answer(
            chunks, policy.spec, len(observations), f'policy {self._weights.path}'
        )

    def _record(
        self, name: str, answer: Answer, observation: Observation, temperature: float
    ) -> None:
        decision = Decision(
            name,
            answer.question,
            answer.epoch,
            observation,
            answer.tokens,
            answer.log_probs,
            temperature,
        )
        self._rollout_steps.publish(to_rollout_step(decision, self._joints))

    def _refuse(self, name: str, pending: PendingObservation, reason: str) -> None:
        self._diagnostics.report(name, WARNING, f'{pending.question.episode_id}: {reason}')
        self._robots[name].refuse(pending.question, reason)
        with self._changed:
            self._desk.settle(name, pending, None)


def main() -> int:
    """Run the node; returns the exit status."""
    # Threads between operations, beside those within one, which the parameter `threads` bounds.
    torch.set_num_interop_threads(1)
    status = run_node(PolicyNode)
    if any(thread.name == INFERENCE for thread in threading.enumerate()):
        # The interpreter cannot end in order beside a thread that is inside of torch.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == '__main__':
    sys.exit(main())
