"""The seam between everything that drives a robot and everything that is a neural network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from smoothvla_ros.records import Observation

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class PolicySpec:
    """What a policy answers with and what it needs to see.

    chunk: steps decided at once.  action_dimension: numbers a step.  bins: tokens a number.
    action_space: the meaning of the numbers: ``libero_osc_pose``, whose range is [-1, 1], or
    another that the guard knows, such as ``joint_positions``.
    cameras: names of the images, in order.  image_size: height and width, pixels, of what the
    simulator draws for it; a real camera's images come as they are.
    samples: whether it can answer at a temperature above 0.
    """

    chunk: int
    action_dimension: int
    bins: int
    action_space: str
    cameras: tuple[str, ...]
    image_size: int
    samples: bool = True


@dataclass(frozen=True)
class ActionChunks:
    """A decision for each of B observations, all arrays [B, chunk, dimension].

    actions: float64, in the range of their space.  tokens: int64.  log_probs: float32, of the
    tokens, at the temperature that sampled them (at 1 when greedy).
    """

    actions: np.ndarray
    tokens: np.ndarray
    log_probs: np.ndarray


@dataclass(frozen=True)
class TokenStatistics:
    """What a policy thinks of given tokens: float32 [B, chunk, dimension], on the graph.

    log_probs, entropy: nats.  expected_actions: mean of the distribution over the actions that the
    tokens stand for, whatever token was given; None where the policy cannot say, which then trains
    without the course anchor (`course_coefficient` 0).
    """

    log_probs: torch.Tensor
    entropy: torch.Tensor
    expected_actions: torch.Tensor | None = None


class Policy(Protocol):
    """A policy whose actions are tokens, so that their log-probabilities are exact."""

    @property
    def spec(self) -> PolicySpec:
        """What it answers with and what it needs to see."""
        ...

    @property
    def module(self) -> torch.nn.Module:
        """The network, for an optimiser; in eval mode at all times, or log-probabilities drift."""
        ...

    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Decide for each observation, row i sampled from seeds[i] alone; temperature 0 is greedy.

        Rows of several robots and episodes come in any order: nothing is remembered between calls.
        Raises UserError for an observation that cannot be used (NaN, a missing camera).
        """
        ...

    def evaluate(
        self, observations: Sequence[Observation], tokens: np.ndarray, *, temperature: float
    ) -> TokenStatistics:
        """Return the statistics of `tokens` [B, chunk, dimension] under the present weights."""
        ...

    def prepare_training(self) -> None:
        """Get ready for an optimiser; what then requires a gradient is what learns.

        Raises UserError, with the reason, for a policy that cannot learn from log-probabilities.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write everything that `load_policy` needs, atomically."""
        ...


# What some policies can besides; whoever profits asks with isinstance.


@runtime_checkable
class CountsTokens(Protocol):
    """A policy whose rows differ in length, and in what they cost."""

    def lengths(self, observations: Sequence[Observation]) -> list[int]:
        """Return the tokens of each row of `evaluate`."""
        ...


@runtime_checkable
class ExpectsObservations(Protocol):
    """A policy that prepares what it will be asked for while it is busy with what it was."""

    def expect(self, observations: Sequence[Observation]) -> None:
        """Hear what `evaluate` will be called with, in that order."""
        ...


@runtime_checkable
class Shardable(Protocol):
    """A policy with a network that is worth splitting."""

    def shard_units(self) -> list[torch.nn.Module]:
        """Return the modules that hold nearly all frozen weights, each to be split by itself.

        From now on no policy that is loaded later may share them.
        """
        ...


@runtime_checkable
class GivesUp(Protocol):
    """A policy that itself waits for somebody; the others answer soon."""

    def give_up(self) -> None:
        """Hang up for good, called from any thread: nobody waits for its answer any more."""
        ...


def give_up(policy: Policy) -> None:
    """Tell a policy, from any thread and for good, that nobody waits for its answer any more."""
    if isinstance(policy, GivesUp):
        policy.give_up()
