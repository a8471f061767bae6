"""Checkpoints: complete or absent, exact, and honest about damage."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_world import ToyPolicy, load_toy

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.smoothness import EstimatorSettings
from smoothvla_ros.training.checkpoints import CheckpointStore, DamagedCheckpoint
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.grpo_trainer import TrainerState
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.rewards.jerk_reference import JerkReference
from smoothvla_ros.training.rewards.outcomes import TaskReference
from smoothvla_ros.training.trainer_checkpoint import restore_trainer, save_trainer


def write(store: CheckpointStore, iteration: int, learner: GrpoLearner | None = None):
    """A checkpoint of a toy run."""
    reference = JerkReference(EstimatorSettings(), {3: TaskReference(1.0 / 3.0, 0.7, 20.5, 7)})
    history = [{'iteration': iteration, 'success': 0.1}]
    state = TrainerState(iteration, reference, history)
    learner = learner or GrpoLearner(ToyPolicy(), GrpoConfig(course_coefficient=0.0))
    return save_trainer(store, state, learner, {'seed': 0}, wall_seconds=12.5)


def step(learner: GrpoLearner) -> torch.Tensor:
    """One optimiser step on a fixed loss; returns the weights."""
    learner.optimiser.zero_grad()
    sum((p**2).sum() for p in learner.parameters.values()).backward()
    learner.optimiser.step()
    return torch.nn.utils.parameters_to_vector(learner.parameters.values()).detach()


def test_everything_comes_back_bit_for_bit(tmp_path):
    """Weights, optimiser, state and every random generator go on as if nothing had happened."""
    store = CheckpointStore(tmp_path, keep=2)
    learner = GrpoLearner(ToyPolicy(), GrpoConfig(course_coefficient=0.0, learning_rate=0.01))
    step(learner)
    write(store, 4, learner)
    expected = (step(learner), torch.rand(3), np.random.random(3), random.random())  # noqa: NPY002

    torch.manual_seed(99), np.random.seed(99), random.seed(99)  # noqa: NPY002
    checkpoint = store.latest()
    again = GrpoLearner(
        load_toy(checkpoint.policy_folder), GrpoConfig(course_coefficient=0.0, learning_rate=0.01)
    )
    state, seconds = restore_trainer(checkpoint, again)

    assert torch.equal(step(again), expected[0])
    assert torch.equal(torch.rand(3), expected[1])
    assert (np.random.random(3) == expected[2]).all()  # noqa: NPY002
    assert random.random() == expected[3]
    assert (state.iteration, seconds) == (4, 12.5)
    assert state.reference.tasks[3] == TaskReference(1.0 / 3.0, 0.7, 20.5, 7)
    assert state.reference.estimator == EstimatorSettings()


def with_unused_head() -> ToyPolicy:
    """A toy with a parameter that no loss depends on, as an unused value head is."""
    policy = ToyPolicy()
    policy.module.register_parameter('value_head', torch.nn.Parameter(torch.ones(3)))
    return policy


def step_without_head(learner: GrpoLearner) -> torch.Tensor:
    """One optimiser step on a loss without the unused head; returns the weights."""
    learner.optimiser.zero_grad()
    used = [p for name, p in learner.parameters.items() if name != 'value_head']
    sum((p**2).sum() for p in used).backward()
    learner.optimiser.step()
    return torch.nn.utils.parameters_to_vector(learner.parameters.values()).detach()


def test_a_parameter_outside_the_loss_does_not_stop_a_resume(tmp_path):
    """It has no moments before or after; those of the others come back bit for bit."""
    store = CheckpointStore(tmp_path, keep=2)
    config = GrpoConfig(course_coefficient=0.0, learning_rate=0.01)
    learner = GrpoLearner(with_unused_head(), config)
    step_without_head(learner)
    checkpoint = write(store, 1, learner)
    expected = step_without_head(learner)

    again = GrpoLearner(with_unused_head(), config)
    restore_trainer(checkpoint, again)

    assert again.parameters['value_head'] not in again.optimiser.state
    assert torch.equal(step_without_head(again), expected)


@pytest.mark.parametrize('lost', ['exp_avg.0.weight', 'step.0.weight', 'weight.0.weight'])
def test_a_parameter_that_came_back_in_part_is_damage(tmp_path, lost):
    """Weights belong to every parameter, and moments come all together or not at all."""
    learner = GrpoLearner(ToyPolicy(), GrpoConfig(course_coefficient=0.0))
    step(learner)
    checkpoint = write(CheckpointStore(tmp_path, keep=2), 1, learner)
    path = checkpoint.folder / 'learner.safetensors'
    tensors = {name: value for name, value in load_file(path).items() if name != lost}
    save_file(tensors, path)
    again = GrpoLearner(ToyPolicy(), GrpoConfig(course_coefficient=0.0))
    with pytest.raises(DamagedCheckpoint, match=rf'iteration_0001: .* has no {lost}'):
        restore_trainer(checkpoint, again)


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def halved(content: bytes) -> bytes:
    return content[: len(content) // 2]


def emptied(content: bytes) -> bytes:
    return b''


def replaced(content: bytes) -> bytes:
    return b'[1, 2]'


@pytest.mark.parametrize('damage', [flipped, halved, emptied, replaced])
@pytest.mark.parametrize(
    'file', ['policy/model.safetensors', 'learner.safetensors', 'state.json', 'manifest.json']
)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(tmp_path, caplog, file, damage):
    """One flipped bit, half a file, none of it, or something else: in weights, optimiser, JSON."""
    store = CheckpointStore(tmp_path, keep=3)
    write(store, 1)
    path = write(store, 2).folder / file
    path.write_bytes(damage(path.read_bytes()))
    assert store.latest().iteration == 1
    assert 'iteration_0002: ' in caplog.text
    assert '; using the one before it' in caplog.text
    if file != 'manifest.json':
        assert f'{file} does not match its hash' in caplog.text


@pytest.mark.parametrize('victim', ['policy/model.safetensors', 'manifest.json', 'state.json'])
def test_a_missing_file_is_damage(tmp_path, victim):
    """Without any of its files a checkpoint is not used."""
    store = CheckpointStore(tmp_path, keep=2)
    checkpoint = write(store, 1)
    (checkpoint.folder / victim).unlink()
    with pytest.raises(DamagedCheckpoint, match='iteration_0001'):
        checkpoint.verify()
    with pytest.raises(UserError, match=r'^checkpoint .*: .*; every checkpoint is damaged'):
        store.latest()


@pytest.mark.parametrize('name', ['.DS_Store', 'policy/notes.txt', 'zzz'])
def test_a_file_that_was_not_written_is_named_as_that(tmp_path, name):
    """Not as a wrong hash: whoever put it there is told to delete it."""
    checkpoint = write(CheckpointStore(tmp_path, keep=2), 1)
    (checkpoint.folder / name).write_text('')
    with pytest.raises(DamagedCheckpoint, match=rf'{name} is not one of its files \(delete it'):
        checkpoint.verify()


def test_no_checkpoint_is_not_an_error(tmp_path):
    """A fresh run starts from its policy."""
    assert CheckpointStore(tmp_path / 'nothing', keep=2).latest() is None


def test_the_first_and_the_last_few_are_kept(tmp_path):
    """Iteration 0 is the reference; of the others `keep`."""
    store = CheckpointStore(tmp_path, keep=2)
    for iteration in range(5):
        write(store, iteration)
    assert store.iterations() == [0, 3, 4]


def test_a_half_written_checkpoint_does_not_count(tmp_path):
    """What a kill leaves behind has no checkpoint's name, and the next save removes it."""
    store = CheckpointStore(tmp_path, keep=2)

    def killed(folder):
        folder.mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(1, killed, {}, {})
    (tmp_path / 'iteration_0001.writing' / 'policy').mkdir(parents=True)
    assert store.latest() is None
    write(store, 2)
    assert [path.name for path in tmp_path.iterdir()] == ['iteration_0002']


def test_the_hash_of_a_folder_depends_on_names_and_contents(tmp_path):
    """The hash that is announced with a policy."""
    (tmp_path / 'a').write_text('1')
    first = folder_sha256(tmp_path)
    (tmp_path / 'a').rename(tmp_path / 'b')
    second = folder_sha256(tmp_path)
    (tmp_path / 'b').write_text('2')
    assert len({first, second, folder_sha256(tmp_path)}) == 3
