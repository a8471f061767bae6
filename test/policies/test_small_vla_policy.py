"""The small policy behind the seam: exact log-probabilities, whoever shares the batch."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel
from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy

SEEDS = [11, 12, 13, 14]


@pytest.mark.parametrize('temperature', [0.0, 0.5, 1.0, 1.6])
def test_act_and_evaluate_agree(policy, observe, temperature):
    """The first epoch's ratio is 1: log-probabilities of both are equal to 1e-5."""
    observations = [observe(i) for i in range(4)]
    chunks = policy.act(observations, temperature=temperature, seeds=SEEDS)
    statistics = policy.evaluate(observations, chunks.tokens, temperature=temperature)
    assert chunks.actions.shape == chunks.tokens.shape == (4, 8, 7)
    assert np.abs(statistics.log_probs.detach().numpy() - chunks.log_probs).max() < 1e-5
    assert statistics.log_probs.dtype == torch.float32
    assert (statistics.entropy >= 0).all()
    assert (statistics.entropy <= np.log(256) + 1e-4).all()


def test_a_row_does_not_depend_on_its_batch(policy, observe):
    """Bit for bit the same alone, in company, and in another order."""
    observations = [observe(i) for i in range(4)]
    together = policy.act(observations, temperature=1.0, seeds=SEEDS)
    backwards = policy.act(observations[::-1], temperature=1.0, seeds=SEEDS[::-1])
    assert np.array_equal(together.tokens, backwards.tokens[::-1])
    assert np.array_equal(together.log_probs, backwards.log_probs[::-1])


def test_batched_inference_is_the_same_within_rounding(policy, observe):
    """Without deterministic mode only the last bits may differ (on most processors none do)."""
    batched = SmallVLAPolicy(policy.module, policy.vocabulary, policy.arm, deterministic=False)
    observations = [observe(i) for i in range(4)]
    alone = policy.act(observations, temperature=1.0, seeds=SEEDS)
    together = batched.act(observations, temperature=1.0, seeds=SEEDS)
    same = alone.tokens == together.tokens
    assert same.mean() > 0.99
    assert np.abs(alone.log_probs - together.log_probs)[same].max() < 1e-5


def test_frozen_trunks_end_the_gradient(policy, observe):
    """With the cameras frozen the rest still learns, and the log-probabilities are the same."""
    tokens = np.full((2, 8, 7), 100)
    observations = [observe(0), observe(1)]
    before = policy.evaluate(observations, tokens, temperature=1.0).log_probs
    policy.module.cameras.requires_grad_(False)
    after = policy.evaluate(observations, tokens, temperature=1.0).log_probs
    assert torch.equal(before, after)
    after.sum().backward()
    assert policy.module.head.weight.grad.any()
    assert policy.module.words.weight.grad.any()
    assert all(parameter.grad is None for parameter in policy.module.cameras.parameters())


def test_saved_and_loaded_is_identical(policy, observe, tmp_path: Path):
    """Weights, vocabulary and normalisation survive the folder, in `load_policy` and AutoModel."""
    policy.module.body_mean.fill_(0.3)
    policy.save(tmp_path / 'saved')
    loaded = load_policy(tmp_path / 'saved')
    observations = [observe(i) for i in range(2)]
    before = policy.act(observations, temperature=1.0, seeds=SEEDS[:2])
    after = loaded.act(observations, temperature=1.0, seeds=SEEDS[:2])
    assert np.array_equal(before.log_probs, after.log_probs)
    assert loaded.spec == policy.spec
    automatic = AutoModel.from_pretrained(tmp_path / 'saved')
    assert isinstance(automatic, SmallVLAModel)
    for name, value in policy.module.state_dict().items():
        assert torch.equal(automatic.state_dict()[name], value), name


def test_a_saved_policy_can_be_shared(policy, tmp_path: Path):
    """Its files are as readable as any other file that this user makes."""
    policy.save(tmp_path / 'policy')
    (tmp_path / 'other').touch()
    usual = (tmp_path / 'other').stat().st_mode
    assert {path.stat().st_mode for path in (tmp_path / 'policy').iterdir()} == {usual}


def test_the_instruction_changes_the_answer(policy, observe):
    """Same images and body, another sentence: other log-probabilities."""
    tokens = np.zeros((2, 8, 7), dtype=np.int64)
    pair = [observe(0), observe(0, 'place the plate on it')]
    log_probs = policy.evaluate(pair, tokens, temperature=1.0).log_probs
    assert (log_probs[0] - log_probs[1]).abs().max() > 1e-3


@pytest.mark.parametrize('temperature', [-0.1, float('nan'), float('inf')])
def test_no_token_is_judged_at_a_temperature_that_is_none(policy, observe, temperature):
    """`evaluate` refuses what `act` refuses; NaN was taken for 1, infinity for no preference."""
    tokens = np.zeros((1, 8, 7), dtype=np.int64)
    with pytest.raises(UserError, match='temperature='):
        policy.evaluate([observe(0)], tokens, temperature=temperature)


def test_gradients_reach_every_part(policy, observe):
    """A policy gradient can move vision, language, body, decoder and head; no parameter is dead."""
    statistics = policy.evaluate([observe(0)], np.full((1, 8, 7), 100), temperature=1.0)
    statistics.log_probs.sum().backward()
    dead = [
        name
        for name, parameter in policy.module.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # The bias of a key shifts all attention scores alike.
    assert [name for name in dead if not name.endswith('k_proj.bias')] == []


@pytest.mark.parametrize('field', ['joint_positions', 'joint_velocities', 'gripper_positions'])
def test_nan_is_refused_by_name(policy, observe, field):
    """A broken sensor must stop the robot, not become an action."""
    observation = observe(0)
    values = np.array(getattr(observation, field))
    values[1] = np.nan
    with pytest.raises(UserError, match=field):
        policy.act([replace(observation, **{field: values})], temperature=0.0, seeds=[0])


def test_wrong_images_are_refused_by_name(policy, observe):
    """A missing camera and a float image each get one line; another size is fitted."""
    observation = observe(0)
    missing = replace(observation, images={'wrist': observation.images['wrist']})
    with pytest.raises(UserError, match='agentview'):
        policy.act([missing], temperature=0.0, seeds=[0])
    floats = {name: image / 255.0 for name, image in observation.images.items()}
    with pytest.raises(UserError, match='uint8'):
        policy.act([replace(observation, images=floats)], temperature=0.0, seeds=[0])
    larger = observe(0, size=64)
    assert policy.act([larger], temperature=0.0, seeds=[0]).tokens.shape == (1, 8, 7)


def test_more_words_leave_the_known_ones(policy, observe):
    """New words in the vocabulary change nothing for an instruction without them."""
    observation = observe(0)
    before = policy.act([observation], temperature=0.0, seeds=[0])
    policy.module.resize_vocabulary(40)
    after = policy.act([observation], temperature=0.0, seeds=[0])
    assert np.array_equal(before.log_probs, after.log_probs)


@pytest.mark.parametrize('name', ['model.safetensors', 'config.json', 'vocabulary.json'])
@pytest.mark.parametrize('damage', ['cut', 'remove'])
def test_damaged_weights_are_named(policy, tmp_path: Path, name, damage):
    """One line that names the file, whichever it is."""
    policy.save(tmp_path / 'saved')
    path = tmp_path / 'saved' / name
    if damage == 'remove':
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=name):
        load_policy(tmp_path / 'saved')


@pytest.mark.parametrize('value', [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_named(policy, tmp_path: Path, value):
    """The file, the tensor and the remedy: such a policy would command full deflection."""
    with torch.no_grad():
        policy.module.head.bias[3] = value
    policy.save(tmp_path / 'saved')
    named = 'saved/model.safetensors: head.bias has values that are not finite; train it again'
    with pytest.raises(UserError, match=named):
        load_policy(tmp_path / 'saved')


@pytest.mark.parametrize('temperature', [0.0, 0.5])
def test_a_policy_that_diverged_decides_nothing(policy, observe, temperature):
    """The greedy token of NaN is the first bin, the sampled one the last: full deflection."""
    with torch.no_grad():
        policy.module.head.weight[0] = torch.nan
    with pytest.raises(UserError, match='not numbers'):
        policy.act([observe(0)], temperature=temperature, seeds=[0])


def test_an_unknown_policy_is_named(tmp_path: Path):
    """The path and the remedy, in one line."""
    with pytest.raises(UserError, match='nowhere'):
        load_policy(tmp_path / 'nowhere')


def test_a_failed_save_leaves_the_old_weights(policy, tmp_path: Path, monkeypatch):
    """Disk full in the middle: what was there is still there and loads."""
    policy.save(tmp_path / 'saved')

    def fail(*_: object, **__: object) -> None:
        raise OSError('no space left on device')

    monkeypatch.setattr(policy.module, 'save_pretrained', fail)
    with pytest.raises(OSError, match='no space'):
        policy.save(tmp_path / 'saved')
    load_policy(tmp_path / 'saved')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['saved']
