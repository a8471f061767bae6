"""One simulated robot through one episode, in lock-step with a policy that it cannot see."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.lock_step.protocol import (
    Answer,
    ChunkGate,
    ChunkVerdict,
    EpisodePhase,
    EpisodeReport,
    EpisodeState,
    ExecutedChunk,
    Question,
    SimulationClock,
)
from smoothvla_ros.libero import ACTION_DIMENSION, SETTLE_STEPS
from smoothvla_ros.records import EpisodeName, EpisodeRequest, Observation, Trajectory

if TYPE_CHECKING:
    # With it comes MuJoCo, which the protocol goes without.
    from smoothvla_ros.simulation.workers.worker_process import StepResult


class EpisodeWorker(Protocol):
    """What this module needs of `simulation.workers`."""

    def reset(self, name: EpisodeName, timeout_s: float) -> Observation: ...

    def execute(
        self, actions: np.ndarray, timeout_s: float, observe: bool = True
    ) -> StepResult: ...

    def trajectory(self) -> Trajectory: ...


class RobotLink(Protocol):
    """How a robot reaches the graph; `nodes/libero_bridge/robot_link.py` does it over topics."""

    def announce(self, state: EpisodeState) -> None:
        """Say which episode the robot is in."""

    def send_joints(
        self, stamps_ns: list[int], positions: Any, velocities: Any, gripper: Any
    ) -> None:
        """Send one joint sample a stamp: arrays [k, joints] rad, rad/s and [k, fingers] m."""

    def send_images(self, stamp_ns: int, observation: Observation) -> None:
        """Send every camera's image; with the joint sample of that stamp they ask the policy."""

    def wait_for_answer(self, timeout_s: float) -> Answer | None:
        """Return the next chunk from the policy, or None after the timeout."""

    def interrupted(self) -> str:
        """Say why the episode must end now; empty while it may go on."""


class EpisodeFailed(Exception):
    """There is no valid episode; the message is one line for the trainer."""


@dataclass(frozen=True)
class LockStepSettings:
    """How long a robot waits for whom, seconds of wall time."""

    resend_s: float = setting(
        5.0, 'Wait for a chunk this long, then send the observation again, s', minimum=0.01
    )
    chunk_timeout_s: float = setting(
        30.0, 'Give an episode up after waiting for one chunk this long, s', minimum=0.01
    )
    reset_timeout_s: float = setting(
        120.0, 'Longest reset of a worker, s; the first one builds the task', minimum=0.01
    )
    step_timeout_s: float = setting(60.0, 'Longest execution of one chunk, s', minimum=0.01)

    def __post_init__(self) -> None:
        validate(self, 'lock-step')


@dataclass
class RobotEpisode:
    """Runs requests one after another on one worker.

    dimension: numbers in an action.  deadline: of the running episode, on `monotonic`; 0 is none.
    dropped: called with every chunk that was not executed and why.
    """

    robot: str
    worker: EpisodeWorker
    link: RobotLink
    clock: SimulationClock
    settings: LockStepSettings
    dimension: int = ACTION_DIMENSION
    monotonic: Callable[[], float] = time.monotonic
    dropped: Callable[[Answer, ChunkVerdict], None] = lambda answer, verdict: None
    _gate: ChunkGate = field(init=False)

    def __post_init__(self) -> None:
        self._gate = ChunkGate(self.dimension)

    def run(self, request: EpisodeRequest, horizon: int, deadline: float = 0.0) -> EpisodeReport:
        """Play one episode of at most `horizon` control steps and report it.

        Raises EpisodeFailed, and whatever the worker raises when it dies or hangs; the episode is
        announced as aborted first.
        """
        state = EpisodeState(
            robot=self.robot,
            episode_id=request.episode_id,
            attempt=request.attempt,
            phase=EpisodePhase.RUNNING,
            temperature=request.temperature,
            seed=request.seed,
            policy_version=request.policy_version,
            suite=request.name.suite,
            task=request.name.task,
        )
        finished = False
        try:
            report = self._play(request, state, horizon, deadline)
            finished = True
        finally:
            if not finished:
                self.link.announce(replace(state, phase=EpisodePhase.ABORTED))
        return report

    def _play(
        self, request: EpisodeRequest, state: EpisodeState, horizon: int, deadline: float
    ) -> EpisodeReport:
        first = self.worker.reset(request.name, self.settings.reset_timeout_s)
        # While the scene settled, time passed too: stamps of two episodes lie apart.
        stamp = self.clock.advance(SETTLE_STEPS)[-1]
        state = replace(state, first_stamp_ns=stamp, instruction=first.instruction)
        self.link.announce(state)
        joints = (
            first.joint_positions[None],
            first.joint_velocities[None],
            first.gripper_positions[None],
        )
        self.link.send_joints([stamp], *joints)

        chunks: list[ExecutedChunk] = []
        observation: Observation | None = first
        steps, success = 0, False
        while not success and steps < horizon:
            assert observation is not None  # the worker observes unless the episode has ended
            answer = self._ask(request, len(chunks), stamp, observation, joints, deadline)
            actions = np.asarray(answer.actions)[: horizon - steps]
            result = self.worker.execute(
                actions, self.settings.step_timeout_s, observe=steps + len(actions) < horizon
            )
            if result.executed == 0:
                raise EpisodeFailed(f'the worker executed nothing of chunk {len(chunks)}')
            chunks.append(ExecutedChunk(stamp, answer.epoch, result.executed))
            joints = (result.joint_positions, result.joint_velocities, result.gripper_positions)
            stamps = self.clock.advance(result.executed)
            self.link.send_joints(stamps, *joints)
            steps += result.executed
            success = result.success
            stamp, observation = stamps[-1], result.observation

        trajectory = self.worker.trajectory()
        self.link.announce(
            replace(
                state,
                phase=EpisodePhase.FINISHED,
                last_stamp_ns=stamp,
                samples=steps + 1,
                success=success,
            )
        )
        return EpisodeReport(
            robot=self.robot,
            episode_id=request.episode_id,
            attempt=request.attempt,
            policy_version=request.policy_version,
            success=success,
            chunks=tuple(chunks),
            trajectory=trajectory,
        )

    def _ask(
        self,
        request: EpisodeRequest,
        chunk_index: int,
        stamp: int,
        observation: Observation,
        joints: tuple[Any, Any, Any],
        deadline: float,
    ) -> Answer:
        """Send an observation, again and again if need be, until its chunk is there."""
        question = Question(
            request.episode_id, request.attempt, chunk_index, stamp, request.policy_version
        )
        self._gate.ask(question)
        self.link.send_images(stamp, observation)
        asked = sent = self.monotonic()
        while True:
            now = self.monotonic()
            reason = self.link.interrupted()
            if reason:
                raise EpisodeFailed(reason)
            if deadline and now >= deadline:
                raise EpisodeFailed(f'the deadline passed before chunk {chunk_index}')
            if now - asked >= self.settings.chunk_timeout_s:
                raise EpisodeFailed(
                    f'no chunk {chunk_index} of version {request.policy_version} within '
                    f'{self.settings.chunk_timeout_s:g} s: is the policy node stuck?'
                )
            if now - sent >= self.settings.resend_s:
                last = tuple(part[-1:] for part in joints)
                self.link.send_joints([stamp], *last)
                self.link.send_images(stamp, observation)
                sent = now
            answer = self.link.wait_for_answer(self._patience(now, sent, asked, deadline))
            if answer is None:
                continue
            verdict = self._gate.offer(answer)
            if verdict is ChunkVerdict.EXECUTE:
                return answer
            self.dropped(answer, verdict)
            if verdict is ChunkVerdict.REFUSED:
                raise EpisodeFailed(f'the policy refused chunk {chunk_index}: {answer.refusal}')
            if verdict is ChunkVerdict.MALFORMED:
                raise EpisodeFailed(f'chunk {chunk_index} is {verdict.value}')

    def _patience(self, now: float, sent: float, asked: float, deadline: float) -> float:
        """Return how long to wait before one of the times that `_ask` looks at is reached."""
        ends = [sent + self.settings.resend_s, asked + self.settings.chunk_timeout_s]
        if deadline:
            ends.append(deadline)
        return max(0.0, min(ends) - now)
