"""A policy of about a thousand weights and a world it can learn in, for tests of the trainer.

The arm is the Panda; an action moves its joints a little, and the episode succeeds when the first
joint has gone far enough. Jerk is real jerk: of the tool, through the arm's own kinematics.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from smoothvla_ros.policies.policy import ActionChunks, PolicySpec, TokenStatistics
from smoothvla_ros.policies.tensor_files import tensor_file_errors
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.records import Episode, EpisodeName, EpisodeRequest, Observation, Trajectory
from smoothvla_ros.training.rollouts.robot_loop import run_episode
from smoothvla_ros.training.rollouts.source import LostEpisode

CHUNK, JOINTS, BINS = 4, 7, 5
HORIZON = 32
GOAL_RAD = 0.16
START = np.array([0.0, -0.2, 0.0, -2.2, 0.0, 2.2, 0.8])
PERIOD_S = 0.05
SUBSTEPS = 25


class ToyPolicy:
    """Joint positions in, logits over five speeds a joint and step out."""

    spec = PolicySpec(
        chunk=CHUNK,
        action_dimension=JOINTS,
        bins=BINS,
        action_space='toy',
        cameras=(),
        image_size=0,
    )

    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.module = torch.nn.Sequential(
            torch.nn.Linear(JOINTS, 8), torch.nn.Tanh(), torch.nn.Linear(8, CHUNK * JOINTS * BINS)
        )
        with torch.no_grad():
            for parameter in self.module.parameters():
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
            towards_goal = self.module[2].bias.view(CHUNK, JOINTS, BINS)[:, 0, -2:]
            towards_goal += 0.5

    def _log_probs(self, observations: Sequence[Observation], temperature: float) -> torch.Tensor:
        positions = np.stack([o.joint_positions - START for o in observations]).astype(np.float32)
        logits = self.module(torch.from_numpy(positions)).reshape(-1, CHUNK, JOINTS, BINS)
        return torch.log_softmax(logits / (temperature or 1.0), dim=-1)

    def act(self, observations, *, temperature, seeds) -> ActionChunks:
        """Sample, or take the likeliest, each row with a generator of its own."""
        with torch.no_grad():
            log_probs = self._log_probs(observations, temperature)
        tokens = []
        for row, seed in zip(log_probs, seeds, strict=True):
            flat = row.reshape(-1, BINS)
            generator = torch.Generator().manual_seed(seed)
            drawn = (
                torch.multinomial(flat.exp(), 1, generator=generator)[:, 0]
                if temperature > 0.0
                else flat.argmax(dim=-1)
            )
            tokens.append(drawn.reshape(CHUNK, JOINTS))
        chosen = torch.stack(tokens)
        chosen_log_probs = log_probs.gather(-1, chosen[..., None])[..., 0]
        actions = chosen.numpy() / (BINS - 1) * 2.0 - 1.0
        return ActionChunks(actions, chosen.numpy(), chosen_log_probs.numpy())

    def evaluate(self, observations, tokens, *, temperature) -> TokenStatistics:
        """Log-probabilities and entropy of tokens, with gradient."""
        log_probs = self._log_probs(observations, temperature)
        chosen = log_probs.gather(-1, torch.as_tensor(tokens)[..., None])[..., 0]
        expected = log_probs.exp() @ torch.linspace(-1.0, 1.0, BINS)
        return TokenStatistics(chosen, -(log_probs.exp() * log_probs).sum(-1), expected)

    def prepare_training(self) -> None:
        """All of it learns."""

    def save(self, folder: Path) -> None:
        """Write the weights."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tensor_file_errors():
            save_file(self.module.state_dict(), Path(folder) / 'model.safetensors')


class ToyWithoutCourse(ToyPolicy):
    """Says how likely tokens are and leaves out where its chunks lead."""

    def evaluate(self, observations, tokens, *, temperature) -> TokenStatistics:
        """Log-probabilities and entropy alone."""
        said = super().evaluate(observations, tokens, temperature=temperature)
        return TokenStatistics(said.log_probs, said.entropy)


class ToyOfZeros(ToyPolicy):
    """Fills in zeros for where its chunks lead; they depend on the weights in no way."""

    def evaluate(self, observations, tokens, *, temperature) -> TokenStatistics:
        """Log-probabilities and entropy, and an expectation that is a placeholder."""
        said = super().evaluate(observations, tokens, temperature=temperature)
        return TokenStatistics(said.log_probs, said.entropy, torch.zeros(said.entropy.shape))


class ToyWithIdlePart(ToyPolicy):
    """Has a parameter that no loss reaches."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.module.register_parameter('idle', torch.nn.Parameter(torch.ones(3)))


def load_toy(folder: Path | str, device: str = 'cpu') -> ToyPolicy:
    """Read a toy policy back."""
    policy = ToyPolicy()
    policy.module.load_state_dict(load_file(Path(folder) / 'model.safetensors'))
    return policy


@dataclass
class _Result:
    observation: Observation | None
    executed: int
    success: bool


class ToyRobot:
    """Integrates actions into joint positions."""

    def reset(self, name: EpisodeName, timeout_s: float) -> Observation:
        """Start near the same posture, a little different for every scene."""
        generator = np.random.default_rng([name.task, name.init_state, name.scene_seed])
        self._start = START + 0.02 * generator.standard_normal(JOINTS)
        self._positions, self._actions = [self._start], []
        return self._observe()

    def execute(self, actions: np.ndarray, timeout_s: float, observe: bool = True) -> _Result:
        """Run until success."""
        for executed, action in enumerate(actions, start=1):
            self._positions.append(self._positions[-1] + 0.02 * action)
            self._actions.append(action)
            if self._positions[-1][0] - self._start[0] >= GOAL_RAD:
                return _Result(None, executed, True)
        return _Result(self._observe() if observe else None, len(actions), False)

    def trajectory(self) -> Trajectory:
        """Return the motion since `reset`."""
        positions = np.array(self._positions)
        steps = len(positions)
        return Trajectory(
            actions=np.array(self._actions),
            joint_positions=positions,
            joint_velocities=np.gradient(positions, PERIOD_S, axis=0),
            tool_positions=positions[:, :3],
            tool_rotations=np.repeat(np.eye(3)[None], steps, axis=0),
            substep_joint_positions=_substeps(positions),
            control_period_s=PERIOD_S,
            substep_period_s=PERIOD_S / SUBSTEPS,
        )

    def _observe(self) -> Observation:
        return Observation({}, self._positions[-1], np.zeros(JOINTS), np.zeros(2), 'go')


def _substeps(positions: np.ndarray) -> np.ndarray:
    times = np.arange((len(positions) - 1) * SUBSTEPS + 1) / SUBSTEPS
    columns = [np.interp(times, np.arange(len(positions)), column) for column in positions.T]
    return np.stack(columns, axis=1).astype(np.float32)


@dataclass
class ToySource:
    """One toy robot behind the `RolloutSource` protocol.

    shuffle: seed of the order in which episodes come back; None keeps that of the requests.
    losses: episode id -> how often it is lost before it comes.  broken: all are.
    kill_at: the episode at which this process kills itself, as the out-of-memory killer would.
    """

    shuffle: int | None = None
    losses: dict[str, int] = field(default_factory=dict)
    broken: bool = False
    kill_at: str | None = None
    collected: list[EpisodeRequest] = field(default_factory=list)
    closed: bool = False

    def update_policy(self, version: int, folder: Path, sha256: str) -> None:
        """Load the policy, which must be the one announced."""
        assert folder_sha256(folder) == sha256
        self.policy, self.version = load_toy(folder), version

    def collect(self, requests: Sequence[EpisodeRequest]) -> Iterator[Episode]:
        """Run the episodes one by one."""
        order = list(requests)
        if self.shuffle is not None:
            np.random.default_rng(self.shuffle).shuffle(order)
        self._lost = []
        for request in order:
            assert request.policy_version == self.version
            if self.broken:
                self._lost.append(LostEpisode(request, 'its worker died'))
                continue
            if self.losses.get(request.episode_id, 0) > 0:
                self.losses[request.episode_id] -= 1
                self._lost.append(LostEpisode(request, 'the test said so'))
                continue
            self.collected.append(request)
            if request.episode_id == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if request.horizon is None:
                request_of_loop = EpisodeRequest(**{**vars(request), 'horizon': HORIZON})
            yield self._run(request, request_of_loop)

    def _run(self, request: EpisodeRequest, shortened: EpisodeRequest) -> Episode:
        episode = run_episode(ToyRobot(), self._act, shortened, 1.0, 1.0)
        return Episode(request, episode.success, episode.trajectory, episode.chunks)

    def _act(self, observation: Observation, temperature: float, seed: int) -> ActionChunks:
        return self.policy.act([observation], temperature=temperature, seeds=[seed])

    def lost(self) -> Sequence[LostEpisode]:
        """Return what the latest `collect` gave up."""
        return self._lost

    def close(self) -> None:
        """Note that it was called."""
        self.closed = True
