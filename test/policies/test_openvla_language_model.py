"""The language model against transformers' own on the same weights."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from smoothvla_ros.policies.openvla.key_value_cache import FixedCache
from smoothvla_ros.policies.openvla.language_model import build_language_model, keep_exact_norms

BATCH, LENGTH = 2, 9


@pytest.fixture(params=[True, False], ids=['causal', 'all'])
def models(request) -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    """Return ours and transformers', where tokens see those before them or all."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        attn_implementation='sdpa',
        is_causal=request.param,
    )
    ours, theirs = build_language_model(config), LlamaForCausalLM(config)
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    for model in (ours, theirs):
        for layer in model.model.layers:
            layer.self_attn.is_causal = request.param
    return ours.eval(), theirs.eval()


def rows(padded: bool) -> dict[str, torch.Tensor]:
    """Return the embeddings of two rows, one of them padded on the left or none."""
    embeddings = torch.randn(BATCH, LENGTH, 32, generator=torch.Generator().manual_seed(1))
    if not padded:
        return {'inputs_embeds': embeddings}
    positions = torch.arange(LENGTH) - torch.tensor([[3], [0]])
    return {
        'inputs_embeds': embeddings,
        'attention_mask': (positions >= 0).long(),
        'position_ids': positions.clamp(min=0),
    }


@pytest.mark.parametrize('gradients', [True, False])
@pytest.mark.parametrize('padded', [True, False])
def test_hidden_states_are_those_of_transformers(models, padded, gradients):
    """The rotation that works in place, where nothing is kept for a backward pass, too."""
    ours, theirs = models
    with torch.set_grad_enabled(gradients):
        found = ours.model(**rows(padded), use_cache=False).last_hidden_state
        expected = theirs.model(**rows(padded), use_cache=False).last_hidden_state
    torch.testing.assert_close(found[:, 3:], expected[:, 3:], rtol=0, atol=2e-6)


@pytest.mark.parametrize('padded', [True, False])
def test_the_last_positions_alone_are_the_same(models, padded):
    """Asked for a part, the last layer says what it says of the whole.

    One position where tokens see those before them, since a mask of those is made for all.
    """
    ours, _ = models
    asked = 1 if ours.model.layers[0].self_attn.is_causal else 4
    with torch.no_grad():
        whole = ours.model(**rows(padded), use_cache=False).last_hidden_state
        part = ours.model(**rows(padded), use_cache=False, last_positions=asked).last_hidden_state
    assert part.shape == (BATCH, asked, 32)
    torch.testing.assert_close(part, whole[:, -asked:], rtol=0, atol=2e-6)


def test_a_part_of_what_is_causal_is_refused(models):
    """Its mask would be that of the first positions."""
    ours, _ = models
    for layer in ours.model.layers:
        layer.self_attn.is_causal = True
    with torch.no_grad(), pytest.raises(ValueError, match='4 queries'):
        ours.model(**rows(False), use_cache=False, last_positions=4)


def test_gradients_are_those_of_transformers(models):
    """Of the first layer's queries, through rotations and a last layer that is asked for a part."""
    ours, theirs = models
    asked = 1 if ours.model.layers[0].self_attn.is_causal else 4
    gradients = []
    for model, given in ((ours, {'last_positions': asked}), (theirs, {})):
        hidden = model.model(**rows(padded=True), use_cache=False, **given).last_hidden_state
        hidden[:, -asked:].square().sum().backward()
        gradients.append(model.model.layers[0].self_attn.q_proj.weight.grad)
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-5)


def test_learning_rounds_as_acting_does(models):
    """In bfloat16, bit for bit: a ratio of 1 is one."""
    ours = models[0].to(torch.bfloat16)
    given = {name: v.bfloat16() if v.is_floating_point() else v for name, v in rows(True).items()}
    learned = ours.model(**given, use_cache=False).last_hidden_state
    with torch.no_grad():
        acted = ours.model(**given, use_cache=False).last_hidden_state
    assert torch.equal(acted, learned)


@pytest.mark.parametrize('key_heads', [4, 2])
def test_tokens_one_by_one_are_those_of_one_pass(key_heads):
    """Queries and keys of a token share a rotation: transformers' numbers, behind others' keys."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=key_heads,
        attn_implementation='sdpa',
    )
    ours, theirs = build_language_model(config).eval(), LlamaForCausalLM(config).eval()
    for weight in theirs.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    ours.load_state_dict(theirs.state_dict())
    embeddings = rows(False)['inputs_embeds']
    cache = FixedCache(3, LENGTH)
    with torch.no_grad():
        whole = theirs.model(inputs_embeds=embeddings, use_cache=False).last_hidden_state
        found = [
            ours.model(inputs_embeds=part, past_key_values=cache, use_cache=True).last_hidden_state
            for part in embeddings.split([4, *[1] * (LENGTH - 4)], dim=1)
        ]
    torch.testing.assert_close(torch.cat(found, dim=1), whole, rtol=0, atol=2e-6)


def test_weights_of_norms_kept_in_float32_change_nothing(models):
    """Bit for bit, with bfloat16 weights, in one place; and they are no part of a checkpoint."""
    model = models[0].to(torch.bfloat16).requires_grad_(False)
    norm, sums = model.model.norm, rows(False)['inputs_embeds']
    names = set(model.state_dict())
    before = norm(sums)
    keep_exact_norms(model.model)
    place = norm.exact_weight.data_ptr()
    assert torch.equal(norm(sums), before)
    norm.weight.mul_(2.0)
    assert torch.equal(norm(sums), before)  # they were used
    keep_exact_norms(model.model)
    torch.testing.assert_close(norm(sums), 2.0 * before)
    assert norm.exact_weight.data_ptr() == place
    assert set(model.state_dict()) == names


def test_a_norm_rounds_once_with_and_without_gradients(models):
    """Sums in float32 through weights in bfloat16: the two ways agree bit for bit."""
    norm = models[0].model.norm.to(torch.bfloat16)
    sums = torch.randn(BATCH, LENGTH, 32)
    learned = norm(sums)
    with torch.no_grad():
        assert torch.equal(norm(sums), learned)
    assert learned.dtype == torch.bfloat16
