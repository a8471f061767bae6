"""The loop learns, and goes on after a cut as if nothing had happened."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sft_data import episode, tiny_shape

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.instructions import Vocabulary
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel
from smoothvla_ros.training.sft import trainer as module
from smoothvla_ros.training.sft import validation
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.losses import action_loss
from smoothvla_ros.training.sft.trainer import SFTTrainer, set_body_statistics

PLAIN = {'batch_size': 15, 'warmup_steps': 5, 'threads': 1, 'bfloat16': False}


@pytest.fixture(scope='module')
def frames() -> FrameSet:
    """Return 15 rows of three demonstrations."""
    return FrameSet(
        [episode(i) for i in range(3)],
        arm=Arm.panda(),
        cameras=('agentview', 'wrist'),
        image_size=32,
        chunk=8,
    )


def trainer(frames: FrameSet, folder: Path, **settings) -> SFTTrainer:
    """Return a trainer of a tiny model."""
    torch.set_num_threads(1)
    vocabulary = Vocabulary.of(frames.instructions)
    torch.manual_seed(0)
    shape = tiny_shape()
    shape.vocabulary_size = len(vocabulary)
    model = SmallVLAModel(shape)
    set_body_statistics(model, frames)
    return SFTTrainer(model, vocabulary, frames, SFTConfig(**PLAIN, **settings), folder)


def test_overfits_a_small_set(frames: FrameSet, tmp_path: Path):
    """After 150 steps on 15 rows, greedy actions lie within a few bins of the demonstrated."""
    learner = trainer(
        frames, tmp_path / 'state', steps=150, learning_rate=5e-3, held_out_share=0.0,
        average_decay=0.9, shift_pixels=0, brightness=0.0, tint=0.0,
    )  # fmt: skip
    learner.run()
    model = learner.averaged_model()
    batch = frames.batch(np.arange(15))
    words = [learner.vocabulary.encode(frames.instructions[s], 24) for s in batch.sentences]
    with torch.no_grad():
        output = model(batch.images, torch.from_numpy(np.stack(words)), batch.body)
    greedy = torch.linspace(-1, 1, 256)[output.logits.argmax(-1)]
    errors = (greedy - batch.actions)[batch.valid].abs()
    assert errors.median() < 0.03
    assert (output.goal - batch.goal)[batch.goal_valid].abs().median() < 0.3


def test_resumed_equals_uninterrupted(frames: FrameSet, tmp_path: Path):
    """Cut after 5 of 12 steps and started again in a new trainer: the same weights, bit for bit."""
    whole = trainer(frames, tmp_path / 'whole', steps=12, held_out_share=0.3)
    whole.run()
    first = trainer(frames, tmp_path / 'cut', steps=12, held_out_share=0.3)
    original = first._train_step

    def cut_after_five(done: float):
        if first.step == 5:
            first.save_state()
            raise KeyboardInterrupt
        return original(done)

    first._train_step = cut_after_five
    with pytest.raises(KeyboardInterrupt):
        first.run()
    second = trainer(frames, tmp_path / 'cut', steps=12, held_out_share=0.3)
    assert second.step == 5
    second.run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, second.model.state_dict()[name]), name
        assert torch.equal(whole.average[name], second.average[name]), name


@pytest.mark.parametrize(
    ('steps', 'minutes', 'expected'),
    [(3, 0.0, 3), (3, 10.0, 3), (40, 2.0, 4), (0, 2.0, 4)],
)
def test_steps_or_minutes_end_it_whichever_come_first(
    frames: FrameSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps, minutes, expected
):
    """By a clock on which a step takes half a minute."""
    learner = trainer(frames, tmp_path / 'state', steps=steps, minutes=minutes)
    clock = SimpleNamespace(monotonic=lambda: 30.0 * learner.step)
    monkeypatch.setattr(module, 'time', clock)
    learner.run()
    assert learner.step == expected


def test_a_training_that_diverges_ends_in_an_error(frames: FrameSet, tmp_path: Path):
    """A weight that is NaN: one line, the average as it was, and no state that goes on with it."""
    learner = trainer(frames, tmp_path / 'state', steps=3, learning_rate=0.25)
    before = {name: value.clone() for name, value in learner.average.items()}
    with torch.no_grad():
        learner.model.head.bias[0] = torch.nan
    with pytest.raises(UserError, match=r'gradient is nan: .* learning_rate=0\.25; lower it'):
        learner.run()
    assert all(torch.equal(value, learner.average[name]) for name, value in before.items())
    assert not (tmp_path / 'state').exists()


def test_weights_that_the_last_step_made_infinite_are_not_written(frames: FrameSet, tmp_path: Path):
    """No gradient follows that would show it; the state that was written before stays."""
    learner = trainer(frames, tmp_path / 'state', steps=1)
    learner.run()
    before = (tmp_path / 'state' / 'state.safetensors').read_bytes()
    with torch.no_grad():
        learner.model.head.bias[0] = torch.inf
    with pytest.raises(UserError, match=r'head\.bias has weights that are not finite'):
        learner.save_state()
    assert (tmp_path / 'state' / 'state.safetensors').read_bytes() == before


def test_a_damaged_state_is_named(frames: FrameSet, tmp_path: Path):
    """Half a file: one line that names the folder, and nothing is overwritten."""
    trainer(frames, tmp_path / 'state', steps=1).run()
    path = tmp_path / 'state' / 'state.safetensors'
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match='state'):
        trainer(frames, tmp_path / 'state', steps=1)
    assert path.stat().st_size == 100


@pytest.mark.parametrize(
    'bad',
    [
        {'steps': 0},
        {'steps': -1},
        {'minutes': float('nan')},
        {'steps': 1, 'batch_size': 0},
        {'steps': 1, 'gradient_norm': 0.0},
    ],
)
def test_settings_that_train_nothing_are_refused(bad: dict):
    """Zero, negative and no-number durations and counts, and gradients that are made zero."""
    with pytest.raises(UserError, match='sft'):
        SFTConfig(**bad)


def test_held_out_loss_is_the_training_loss_of_all_held_out_rows(
    frames: FrameSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the target's spread of this training, and each valid action counted once."""
    monkeypatch.setattr(validation, '_BATCH', 4)
    learner = trainer(frames, tmp_path / 'state', steps=1, held_out_share=0.5, smoothing_bins=20.0)
    assert len(learner.held_out) == 10
    batch = frames.batch(learner.held_out)
    words = [learner.vocabulary.encode(frames.instructions[s], 24) for s in batch.sentences]
    with torch.no_grad():
        output = learner.averaged_model()(
            batch.images, torch.from_numpy(np.stack(words)), batch.body
        )
    expected = float(action_loss(output.logits, batch.actions, batch.valid, 20.0))
    assert learner.validate()['held_out/action_loss'] == pytest.approx(expected, rel=1e-5)
