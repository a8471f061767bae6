"""Adapters on one network: who learns, who is the reference, and what is written."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny_openvla
import torch
from safetensors.torch import load_file, save_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.openvla.export import export
from smoothvla_ros.training.checkpoints import CheckpointStore
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.grpo_trainer import TrainerState
from smoothvla_ros.training.learning.chunk_batch import ChunkBatch
from smoothvla_ros.training.learning.learner import GrpoLearner
from smoothvla_ros.training.trainer_checkpoint import restore_trainer, save_trainer

PARALLEL = {'decoding': 'parallel', 'chunk': 8, 'lora_rank': 4, 'lora_alpha': 8}
TOKENS = np.full((1, 8, 7), 100)
RANK, ALPHA = 4, 2
HEAD = 'language_model.lm_head'


def learnable(policy) -> dict[str, torch.Tensor]:
    return {n: p for n, p in policy.module.named_parameters() if p.requires_grad}


def shift(policy) -> None:
    """Move every weight that learns, so that the adapter says something."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in learnable(policy).values():
            value += 0.05 * torch.randn(value.shape, generator=generator)


def scores(policy, observation) -> torch.Tensor:
    with torch.no_grad():
        return policy.evaluate([observation], TOKENS, temperature=1.0).log_probs


def halves(layer: str, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the two weights of a layer's adapter, A and B."""
    return (
        tiny_openvla.weight(f'{layer} A', (RANK, shape[1])),
        tiny_openvla.weight(f'{layer} B', (shape[0], RANK)),
    )


def is_adapted(name: str, shape: tuple[int, ...]) -> bool:
    return len(shape) == 2 and name.endswith('.weight') and 'embed_tokens' not in name


def merged_weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return a weight of the tiny checkpoint with `theirs` in it, by LoRA's own formula."""
    made = tiny_openvla.weight(name, shape)
    if is_adapted(name, shape):
        left, right = halves(name.removesuffix('.weight'), shape)
        made = made + ALPHA / RANK * (right @ left)
    return made


@pytest.fixture
def theirs(openvla_folder, tmp_path):
    """Return a folder with an adapter as OpenVLA's and OpenVLA-OFT's own fine-tuning writes it.

    Their peft, 0.11.1, counts the output layer among "all-linear", writes its weight beside its
    adapter, and adapts what never runs.
    """
    folder = tmp_path / 'theirs'
    folder.mkdir()
    weights = {
        f'base_model.model.{HEAD}.base_layer.weight': tiny_openvla.weight(
            f'{HEAD}.weight', (tiny_openvla.PADDED, tiny_openvla.TINY.llama)
        )
    }
    for name, shape in tiny_openvla.shapes(tiny_openvla.TINY).items():
        if is_adapted(name, shape):
            layer = name.removesuffix('.weight')
            for letter, value in zip('AB', halves(layer, shape), strict=True):
                weights[f'base_model.model.{layer}.lora_{letter}.weight'] = value
    save_file(weights, folder / 'adapter_model.safetensors')
    rewrite(folder / 'adapter_config.json', {'peft_type': 'LORA', 'r': RANK, 'lora_alpha': ALPHA})
    settings = {**PARALLEL, 'answer': 'tokens', 'proprioception': False, 'cameras': ['agentview']}
    rewrite(folder / 'openvla.json', {**settings, 'checkpoint': str(openvla_folder)})
    return folder


def rewrite(path, values) -> None:
    path.write_text(json.dumps(values))


def sampled(policy, observations) -> ChunkBatch:
    """Return a batch of chunks that the policy sampled, with advantages of both signs."""
    chunks = policy.act(observations, temperature=1.0, seeds=range(1, len(observations) + 1))
    shape = chunks.tokens.shape
    return ChunkBatch(
        observations,
        chunks.tokens,
        chunks.log_probs,
        np.linspace(-1.0, 1.0, chunks.tokens.size, dtype=np.float32).reshape(shape),
        np.ones(shape, dtype=bool),
        1.0,
    )


@pytest.fixture
def adapted(openvla_policy, observe, tmp_path):
    """Return policy, the scores before its adapter said anything, and the observation."""
    plain = openvla_policy(**PARALLEL)
    before = scores(plain, observe(0))
    policy = openvla_policy(**PARALLEL)
    policy.prepare_training()
    return policy, before, observe(0)


def test_only_the_adapter_learns_and_it_starts_as_nothing(adapted):
    """Float32 adapters on layers that run; the first log-probabilities are the base's."""
    policy, before, observation = adapted
    assert torch.equal(scores(policy, observation), before)
    names = learnable(policy)
    assert names
    assert all('.lora_' in name and '.learner.' in name for name in names)
    assert all(value.dtype == torch.float32 for value in names.values())
    assert not any('attn_pool' in n or 'blocks.2' in n or 'lm_head' in n for n in names)
    policy.evaluate([observation], TOKENS, temperature=1.0).log_probs.sum().backward()
    assert all(value.grad is not None for value in names.values())


def test_the_reference_is_the_same_network_without_the_adapter(openvla_policy, adapted):
    """Another policy of the checkpoint is untouched by learning, and shares the weights."""
    policy, before, observation = adapted
    reference = openvla_policy(**PARALLEL)
    shift(policy)
    assert reference.module is policy.module
    assert not torch.equal(scores(policy, observation), before)
    assert torch.equal(scores(reference, observation), before)
    assert learnable(policy)


def test_what_is_frozen_stays_frozen_whoever_uses_the_network(openvla_policy, observe, tmp_path):
    """Between two backward passes the reference runs, and the sampler's adapter comes and goes."""
    policy, reference = openvla_policy(**PARALLEL), openvla_policy(**PARALLEL)
    batch = sampled(policy, [observe(0), observe(1, 'open the drawer')])
    config = GrpoConfig(learning_rate=1e-3, frozen=('vision_backbone',), kl_coefficient=0.1)
    learner = GrpoLearner(policy, config, reference)
    learner.update(batch, 0)
    policy.save(tmp_path / 'saved')
    sampler = load_policy(tmp_path / 'saved')
    scores(sampler, batch.observations[0])
    assert learnable(policy).keys() == learner.parameters.keys()
    del sampler
    learner.update(batch, 1)
    assert learnable(policy).keys() == learner.parameters.keys()
    moved = {name for name, value in policy.module.named_parameters() if value.grad is not None}
    assert moved == learner.parameters.keys()


def test_gradients_are_those_without_checkpointing(openvla_policy, adapted):
    """A reference between forward and backward does not change what is computed again."""
    policy, _, observation = adapted
    shift(policy)
    reference = openvla_policy(**PARALLEL)
    gradients = []
    for enabled in (True, False):
        policy.module.set_gradient_checkpointing(enabled)
        policy.module.eval()
        policy.module.zero_grad()
        loss = policy.evaluate([observation], TOKENS, temperature=1.0).log_probs.sum()
        scores(reference, observation)
        loss.backward()
        gradients.append({name: value.grad.clone() for name, value in learnable(policy).items()})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def test_a_checkpoint_holds_the_adapter_alone(adapted, tmp_path):
    """A few hundred kilobytes, peft's names, and the same log-probabilities after loading."""
    policy, _, observation = adapted
    shift(policy)
    policy.save(tmp_path / 'saved')
    names = {path.name for path in (tmp_path / 'saved').iterdir()}
    assert names == {
        'openvla.json',
        'adapter_config.json',
        'adapter_model.safetensors',
        'SHA256SUMS',
    }
    assert json.loads((tmp_path / 'saved' / 'adapter_config.json').read_text())['r'] == 4
    loaded = load_policy(tmp_path / 'saved')
    assert loaded.module is policy.module
    assert torch.equal(scores(loaded, observation), scores(policy, observation))
    assert all('.learner.' in name for name in learnable(policy))
    resumed = load_policy(tmp_path / 'saved')
    resumed.prepare_training()
    assert torch.equal(scores(resumed, observation), scores(loaded, observation))


def test_a_merged_export_answers_alike(adapted, tmp_path):
    """The published layout with the adapter in its weights loads by itself and says the same."""
    policy, _, observation = adapted
    shift(policy)
    export(policy, tmp_path / 'exported')
    merged = load_policy(tmp_path / 'exported')
    assert merged.module is not policy.module
    assert torch.allclose(scores(merged, observation), scores(policy, observation), atol=1e-4)


def test_the_changes_of_weights_are_computed_one_at_a_time(adapted):
    """All of them are as large as the model: each is made when it is asked for, and not kept."""
    policy, _, _ = adapted
    shift(policy)
    change = next(iter(policy.changes().values()))
    made = change()
    assert made.any()
    assert change() is not made


def test_every_log_probability_is_computed_once_an_epoch(openvla_policy, observe, monkeypatch):
    """In passes of one length each, within the rows and tokens that were allowed."""
    policy = openvla_policy(**PARALLEL)
    observations = [observe(i, ('open the drawer', 'close it')[i % 2]) for i in range(6)]
    batch = sampled(policy, observations)
    long, short = sorted(policy.lengths(observations[:2]), reverse=True)
    config = GrpoConfig(minibatches=1, micro_batch=8, micro_tokens=2 * long, course_coefficient=0.0)
    learner = GrpoLearner(policy, config)
    passes = []
    evaluate = policy.evaluate

    def counted(rows, tokens, *, temperature):
        passes.append([o.instruction for o in rows])
        return evaluate(rows, tokens, temperature=temperature)

    monkeypatch.setattr(policy, 'evaluate', counted)
    learner.update(batch, 0)
    assert sorted(map(len, passes)) == ([1, 1, 2, 2] if 3 * short > 2 * long else [1, 2, 3])
    assert all(len(set(instructions)) == 1 for instructions in passes)


def test_an_update_starts_at_ratio_one_and_changes_the_adapter_alone(openvla_policy, observe):
    """The GRPO learner takes it as it takes any policy; the reference's divergence begins at 0."""
    policy, reference = openvla_policy(**PARALLEL), openvla_policy(**PARALLEL)
    batch = sampled(policy, [observe(0), observe(1, 'open the drawer')])
    config = GrpoConfig(learning_rate=1e-3, minibatches=1, micro_batch=2, kl_coefficient=0.1)
    learner = GrpoLearner(policy, config, reference)
    kept = {n: p.detach().clone() for n, p in policy.module.named_parameters() if '.lora_' not in n}
    first = learner.update(batch, 0)
    assert first.first_ratio_drift < 1e-4
    assert abs(first.reference_kl) < 1e-6
    assert first.pace == pytest.approx(1.0, abs=1e-6)
    assert learner.update(batch, 0).reference_kl > 1e-6
    now = dict(policy.module.named_parameters())
    assert all(torch.equal(now[name], value) for name, value in kept.items())
    again = policy.act(batch.observations, temperature=1.0, seeds=[1, 2])
    assert not np.array_equal(again.log_probs, batch.log_probs)


def test_a_resumed_run_goes_on_bit_for_bit(openvla_policy, observe, tmp_path):
    """Adapter and optimiser come back by name, in a policy that was loaded anew."""
    policy = openvla_policy(**PARALLEL)
    batch = sampled(policy, [observe(0), observe(1, 'open the drawer')])
    config = GrpoConfig(learning_rate=1e-3, minibatches=2, course_coefficient=0.0)
    learner = GrpoLearner(policy, config)
    learner.update(batch, 0)
    store = CheckpointStore(tmp_path / 'checkpoints', 2)
    checkpoint = save_trainer(store, TrainerState(iteration=1), learner, {}, 0.0)
    learner.update(batch, 1)
    expected = {name: value.detach().clone() for name, value in learner.parameters.items()}
    resumed = GrpoLearner(load_policy(checkpoint.policy_folder), config)
    state, _ = restore_trainer(checkpoint, resumed)
    resumed.update(batch, 1)
    assert state.iteration == 1
    assert resumed.parameters.keys() == expected.keys()
    for name, value in resumed.parameters.items():
        assert torch.equal(value, expected[name]), name


def test_a_regression_head_is_refused_by_training(openvla_policy):
    """The reason is said before anything is sampled."""
    settings = {'decoding': 'parallel', 'chunk': 8, 'answer': 'regression'}
    with pytest.raises(UserError, match='never trained to say action tokens'):
        openvla_policy(**settings).prepare_training()


def test_a_damaged_adapter_is_named(adapted, tmp_path):
    """One line with the folder."""
    policy, _, _ = adapted
    policy.save(tmp_path / 'saved')
    weights = tmp_path / 'saved' / 'adapter_model.safetensors'
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(UserError, match='saved'):
        load_policy(tmp_path / 'saved')


def test_an_adapter_of_the_published_tools_answers_as_its_merged_weights(theirs, observe, tmp_path):
    """The output layer is adapted too; what their merge writes is what this says, and exports."""
    folder = tiny_openvla.write(tmp_path / 'merged', make=merged_weight)
    rewrite(folder / 'openvla.json', PARALLEL)
    policy = load_policy(theirs)
    expected = scores(load_policy(folder), observe(0))
    assert torch.allclose(scores(policy, observe(0)), expected, atol=1e-4)
    export(policy, tmp_path / 'exported')
    assert torch.allclose(
        scores(load_policy(tmp_path / 'exported'), observe(0)), expected, atol=1e-4
    )


def test_an_adapter_of_the_published_tools_learns_on(theirs, observe, tmp_path):
    """Training starts from it, the output layer's part learns, and it is saved and loaded again."""
    policy = load_policy(theirs)
    before = scores(policy, observe(0))
    batch = sampled(policy, [observe(0), observe(1, 'open the drawer')])
    learner = GrpoLearner(policy, GrpoConfig(learning_rate=1e-3, course_coefficient=0.0))
    assert torch.equal(scores(policy, observe(0)), before)
    assert learner.update(batch, 0).first_ratio_drift < 1e-4
    moved = {name for name, value in learner.parameters.items() if value.grad is not None}
    assert any('lm_head' in name for name in moved)
    policy.save(tmp_path / 'saved')
    assert torch.equal(
        scores(load_policy(tmp_path / 'saved'), observe(0)), scores(policy, observe(0))
    )


def test_an_adapter_of_another_output_layer_is_refused(theirs):
    """What peft wrote beside the adapter tells that another checkpoint was trained."""
    path = theirs / 'adapter_model.safetensors'
    weights = load_file(path)
    weights[f'base_model.model.{HEAD}.base_layer.weight'][3, 4] += 0.5
    save_file(weights, path)
    with pytest.raises(UserError, match=f'trained on another {HEAD}'):
        load_policy(theirs)


def test_an_adapter_in_the_checkpoint_folder_itself_is_merged_once(theirs, observe, tmp_path):
    """An export leaves out the adapter that lies there, or loading it would add that again."""
    folder = tiny_openvla.write(tmp_path / 'checkpoint')
    for path in theirs.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    rewrite(folder / 'openvla.json', PARALLEL)
    policy = load_policy(folder)
    export(policy, tmp_path / 'exported')
    merged = load_policy(tmp_path / 'exported')
    assert torch.allclose(scores(merged, observe(0)), scores(policy, observe(0)), atol=1e-4)


@pytest.mark.parametrize(
    'said',
    [
        {'use_rslora': True},
        {'use_dora': True},
        {'alpha_pattern': {'q_proj': 8}},
        {'rank_pattern': {'q_proj': 8}},
        {'init_lora_weights': 'pissa'},
    ],
)
def test_an_adapter_that_is_no_plain_lora_is_refused(theirs, said):
    """Scaled otherwise, or relative to other weights, it was applied wrongly without a word."""
    path = theirs / 'adapter_config.json'
    rewrite(path, json.loads(path.read_text()) | said)
    with pytest.raises(UserError, match=f'{next(iter(said))}=.* is not of a plain LoRA; merge it'):
        load_policy(theirs)
