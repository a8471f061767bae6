"""One of several processes that learn together: `learner_rank.py (FOLDER POLICY MINIBATCHES)…`.

Of each policy every rank does two updates of the batch of `sampled_batch`; rank 0 saves a
checkpoint before each, and what it ended with. Each rank writes how much of the network it holds.
Then all go on from the second checkpoint as a job does, and, of toys, try others that say less.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from toy_world import (
    START,
    ToyOfZeros,
    ToyPolicy,
    ToyWithIdlePart,
    ToyWithoutCourse,
    load_toy,
)

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.records import Observation
from smoothvla_ros.training.checkpoints import CheckpointStore
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.grpo_trainer import TrainerState
from smoothvla_ros.training.learning.chunk_batch import ChunkBatch
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.learning.learner_group import LearnerGroup
from smoothvla_ros.training.learning.sharding import shard_frozen
from smoothvla_ros.training.trainer_checkpoint import save_trainer
from smoothvla_ros.workflows.training.learner_processes import (
    LearnerStart,
    follow_training,
    start_learner,
)

CONFIG = TrainConfig(
    learning_rate=3e-4,
    micro_batch=2,
    micro_tokens=1200,
    kl_coefficient=0.1,
    frozen=(),
    threads=1,
)
ROWS = 7
TOYS = 'toy'


def load(name: str):
    """Return the toy policy, or the one in a folder."""
    return ToyPolicy() if name == TOYS else load_policy(name)


def read_toy(name: Path | str, device: str) -> ToyPolicy:
    """Return the toy policy that a job starts with, or of a checkpoint."""
    return ToyPolicy() if name == TOYS else load_toy(name)


def sampled_batch(policy) -> ChunkBatch:
    """Return chunks that the policy sampled, the same in every process, not all executed."""
    generator = np.random.default_rng(0)
    observations = [
        Observation(
            {
                camera: generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                for camera in ('agentview', 'wrist')
            },
            START + 0.05 * generator.standard_normal(7),
            np.zeros(7),
            np.array([0.04, -0.04]),
            ('open the drawer', 'pick up the black bowl and place it on the plate')[row % 2],
        )
        for row in range(ROWS)
    ]
    chunks = policy.act(observations, temperature=1.0, seeds=range(ROWS))
    shape = chunks.tokens.shape
    return ChunkBatch(
        observations,
        chunks.tokens,
        chunks.log_probs,
        generator.standard_normal(shape).astype(np.float32),
        generator.random(shape) < 0.7,
        1.0,
    )


def learn(folder: Path, name: str, group: LearnerGroup, minibatches: int) -> None:
    """Do this rank's part."""
    torch.manual_seed(0)
    policy, reference = load(name), load(name)
    reference.module.requires_grad_(False)
    batch = sampled_batch(policy)
    config = dataclasses.replace(CONFIG, minibatches=minibatches)
    learner = GrpoLearner(policy, config, reference, group)
    shard_frozen(policy, group)
    held = {
        'all': sum(p.numel() for p in policy.module.parameters()),
        'here': sum(
            (p.to_local() if hasattr(p, 'to_local') else p).numel()
            for p in policy.module.parameters()
        ),
    }
    (folder / f'held-{group.rank}.json').write_text(json.dumps(held))
    if group.rank > 0:
        learner.follow()
    else:
        store, figures = CheckpointStore(folder / 'checkpoints', 2), []
        for iteration in range(2):
            save_trainer(store, TrainerState(iteration), learner, {}, 1.0)
            figures.append(learner.update(batch, iteration))
        learner.end()
        (folder / 'figures.json').write_text(json.dumps([dataclasses.asdict(f) for f in figures]))
    state = {
        f'{key}.{name}': value.contiguous()
        for name, parameter in learner.parameters.items()
        for key, value in {**learner.optimiser.state[parameter], 'weight': parameter}.items()
    }
    save_file(state, folder / f'state-{group.rank}.safetensors')


def learn_without_course(folder: Path, group: LearnerGroup) -> None:
    """Update policies that do not say where their chunks lead; every rank writes what came of it.

    With the course anchor they are refused, before anything is learned; without it they learn.
    """
    said = {}
    for kind in (ToyWithoutCourse, ToyOfZeros):
        for coefficient in (CONFIG.course_coefficient, 0.0):
            policy = kind()
            config = dataclasses.replace(CONFIG, course_coefficient=coefficient)
            learner = GrpoLearner(policy, config, kind(), group)
            try:
                if group.rank > 0:
                    learner.follow()
                else:
                    learner.update(sampled_batch(policy), 0)
                    learner.end()
            except UserError as error:
                word = str(error)
            else:
                word = [value.tolist() for value in policy.module.parameters()]
            said[f'{kind.__name__} {coefficient:g}'] = word
    (folder / f'without-course-{group.rank}.json').write_text(json.dumps(said))


def learn_beside_idle_part(folder: Path, group: LearnerGroup) -> None:
    """Update a policy under weight decay that has a part without gradient; write that part."""
    policy = ToyWithIdlePart()
    config = dataclasses.replace(CONFIG, weight_decay=0.5)
    learner = GrpoLearner(policy, config, ToyWithIdlePart(), group)
    if group.rank > 0:
        learner.follow()
    else:
        learner.update(sampled_batch(policy), 0)
        learner.end()
    idle = policy.module.get_parameter('idle').tolist()
    (folder / f'idle-part-{group.rank}.json').write_text(json.dumps(idle))


def resume(folder: Path, name: str, group: LearnerGroup, minibatches: int) -> None:
    """Go on from the checkpoint with the second update, as a job does; write rank 0's weights."""
    read = read_toy if name == TOYS else load_policy
    if group.rank > 0:
        follow_training(group, read)
        return
    store = CheckpointStore(folder / 'checkpoints', 2)
    config = dataclasses.replace(CONFIG, minibatches=minibatches)
    start = LearnerStart(config, store.at(1), store.at(0).policy_folder)
    _, learner, _ = start_learner(start, read, group)
    learner.update(sampled_batch(load(name)), 1)
    learner.end()
    weights = {f'weight.{name}': value.contiguous() for name, value in learner.parameters.items()}
    save_file(weights, folder / 'resumed.safetensors')


if __name__ == '__main__':
    torch.set_num_threads(1)
    group_of_this = LearnerGroup.launched('cpu')
    for folder_of, policy_name, count in zip(*[iter(sys.argv[1:])] * 3, strict=True):
        for part in (learn, resume):
            part(Path(folder_of), policy_name, group_of_this, int(count))
        if policy_name == TOYS:
            learn_without_course(Path(folder_of), group_of_this)
            learn_beside_idle_part(Path(folder_of), group_of_this)
    group_of_this.close()
