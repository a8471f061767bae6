"""How the processes that learn begin: the same policy, the same state, parts of one network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from smoothvla_ros.policies.loading import Loader
from smoothvla_ros.training.checkpoints import Checkpoint
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.grpo_trainer import TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.learning.learner_group import LearnerGroup
from smoothvla_ros.training.learning.sharding import shard_frozen
from smoothvla_ros.training.trainer_checkpoint import restore_trainer


@dataclass(frozen=True)
class LearnerStart:
    """What every process begins with.

    checkpoint: to go on from; None begins with the configured policy.  reference: the policy that
    KL and course compare with; None where there is none.
    """

    config: TrainConfig
    checkpoint: Checkpoint | None
    reference: Path | str | None


def start_learner(
    start: LearnerStart, load: Loader, group: LearnerGroup
) -> tuple[TrainerState, GrpoLearner, float]:
    """Load policy and state in every process of a group; return them with the seconds so far.

    Called by rank 0, which alone looks at the disk to find where to go on.
    """
    group.broadcast(start)
    return _start(start, load, group)


def dismiss(group: LearnerGroup) -> None:
    """Tell the other ranks that there is nothing to begin with; called by rank 0."""
    group.broadcast(None)


def follow_training(group: LearnerGroup, load: Loader) -> None:
    """Be one of the other ranks: begin as rank 0 says, and take part until it is done."""
    start: LearnerStart | None = group.broadcast()
    if start is None:
        return
    torch.set_num_threads(start.config.threads)
    with deterministic_kernels(start.config.deterministic):
        _, learner, _ = _start(start, load, group)
        learner.follow()


@contextmanager
def deterministic_kernels(enabled: bool) -> Iterator[None]:
    """Use torch's deterministic kernels for a while."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(before or enabled, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _start(
    start: LearnerStart, load: Loader, group: LearnerGroup
) -> tuple[TrainerState, GrpoLearner, float]:
    config, checkpoint = start.config, start.checkpoint
    device = group.device if group.device is not None else config.device
    policy = load(config.policy if checkpoint is None else checkpoint.policy_folder, device)
    reference = None
    if start.reference is not None:
        reference = load(start.reference, device)
        reference.module.requires_grad_(False)
    # A policy may draw what it adds to itself for training.
    torch.manual_seed(config.seed)
    learner = GrpoLearner(policy, config, reference, group)
    if checkpoint is None:
        state, seconds = TrainerState(), 0.0
    else:
        state, seconds = restore_trainer(checkpoint, learner)
    shard_frozen(policy, group)
    return state, learner, seconds
