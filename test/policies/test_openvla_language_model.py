"""The language model against transformers' own on the same weights."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

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


def test_a_token_alone_is_turned_as_among_others(models):
    """Queries and keys of one token share a rotation: transformers' numbers, at any place."""
    ours, theirs = models
    given = rows(False)['inputs_embeds'][:, :1]
    with torch.no_grad():
        for place in (0, 7):
            positions = torch.full((BATCH, 1), place)
            found, expected = (
                model.model(inputs_embeds=given, position_ids=positions, use_cache=False)
                for model in (ours, theirs)
            )
            torch.testing.assert_close(
                found.last_hidden_state, expected.last_hidden_state, rtol=0, atol=2e-6
            )


def test_weights_of_norms_kept_in_float32_change_nothing(models):
    """Bit for bit, with bfloat16 weights; and they are no part of a checkpoint."""
    model = models[0].to(torch.bfloat16)
    sums = rows(False)['inputs_embeds']
    names = set(model.state_dict())
    with torch.no_grad():
        before = model.model.norm(sums)
        keep_exact_norms(model.model)
        assert torch.equal(model.model.norm(sums), before)
    assert model.model.norm.exact_weight.dtype == torch.float32
    assert set(model.state_dict()) == names


def test_a_norm_rounds_once_with_and_without_gradients(models):
    """Sums in float32 through weights in bfloat16: the two ways agree bit for bit."""
    norm = models[0].model.norm.to(torch.bfloat16)
    sums = torch.randn(BATCH, LENGTH, 32)
    learned = norm(sums)
    with torch.no_grad():
        assert torch.equal(norm(sums), learned)
    assert learned.dtype == torch.bfloat16
