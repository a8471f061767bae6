"""The seam between everything that drives a robot and everything that is a neural network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.hub import cached_snapshot, is_hub_name
from smoothvla_ros.records import Observation

if TYPE_CHECKING:
    # Seconds to import, and a launch file needs to know no more than where a policy lies.
    import torch

    from smoothvla_ros.kinematics.arm import Arm

DEFAULT_POLICY = 'default'


@dataclass(frozen=True)
class PolicySpec:
    """What a policy answers with and what it needs to see.

    chunk: steps decided at once.  action_dimension: numbers a step.  bins: tokens a number.
    action_space: the meaning of the numbers, for example ``libero_osc_pose``.
    cameras: names of the images, in order.  image_size: height and width, pixels.
    """

    chunk: int
    action_dimension: int
    bins: int
    action_space: str
    cameras: tuple[str, ...]
    image_size: int


@dataclass(frozen=True)
class ActionChunks:
    """A decision for each of B observations, all arrays [B, chunk, dimension].

    actions: float64 in [-1, 1].  tokens: int64.  log_probs: float32, of the tokens, at the
    temperature that sampled them (at 1 when greedy).
    """

    actions: np.ndarray
    tokens: np.ndarray
    log_probs: np.ndarray


@dataclass(frozen=True)
class TokenStatistics:
    """What a policy thinks of given tokens: float32 [B, chunk, dimension], on the graph.

    log_probs, entropy: nats.  expected_actions: mean of the distribution over the actions that the
    tokens stand for, whatever token was given.
    """

    log_probs: torch.Tensor
    entropy: torch.Tensor
    expected_actions: torch.Tensor


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


def policy_folder(path_or_name: str | Path) -> Path:
    """Return the folder of a policy: the shipped one for ``default``, else the path itself.

    A name such as ``openvla/openvla-7b`` that is no folder here is looked up in the local cache of
    the Hugging Face hub; nothing is ever downloaded.
    Raises UserError for a name of that kind that is not in the cache.
    """
    if str(path_or_name) == DEFAULT_POLICY:
        return Path(str(files('smoothvla_ros.policies') / 'weights' / DEFAULT_POLICY))
    if is_hub_name(path_or_name):
        return cached_snapshot(str(path_or_name))
    return Path(path_or_name)


def existing_policy_folder(path_or_name: str | Path) -> Path:
    """Return the folder of a policy.  Raises UserError, with what may be given, if it is none."""
    folder = policy_folder(path_or_name)
    if not folder.is_dir():
        raise UserError(
            f'policy {str(path_or_name)!r} not found at {folder}; give {DEFAULT_POLICY!r}, a '
            'folder that `smoothvla sft` or training wrote, or a published OpenVLA checkpoint'
        )
    return folder


def torch_device(name: str) -> torch.device:
    """Return a torch device that can be used on this machine.  Raises UserError for any other."""
    import torch

    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition('\n')[0]
        raise UserError(
            f'device={name!r} cannot be used here: {reason}; give cpu, or cuda where there is a '
            'GPU and a torch that was built for it'
        ) from error
    return device


def load_policy(path_or_name: str | Path, device: str = 'cpu', arm: Arm | None = None) -> Policy:
    """Load the policy in a folder, or the shipped one by the name ``default``.

    A folder holds what `Policy.save` wrote, or a published OpenVLA checkpoint.
    arm: whose kinematics give the proprioception; None is the Panda.
    Raises UserError naming the path and what is wrong with it, or a device that is not here.
    """
    folder = existing_policy_folder(path_or_name)
    place = torch_device(device)
    # Imported here: transformers takes seconds to import, and few callers load a policy.
    from smoothvla_ros.policies.openvla.load import load_openvla
    from smoothvla_ros.policies.openvla.settings import is_openvla
    from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy

    if is_openvla(folder):
        return load_openvla(folder, place, arm)
    return SmallVLAPolicy.load(folder, place, arm)
