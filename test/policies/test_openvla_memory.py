"""Computed memory against what PyTorch keeps of a small network of the same make."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from smoothvla_ros.cli import main
from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.adapters import Adapters
from smoothvla_ros.policies.openvla.memory import GIB, PUBLISHED_LLAMA, Footprint, with_allowances
from smoothvla_ros.policies.openvla.modeling import Inputs, OpenVLANetwork
from smoothvla_ros.policies.openvla.vision import VisionShape

VISION = (VisionShape(64, 6, 4, 256, 4), VisionShape(80, 6, 4, 320, 0))
LLAMA = {
    'hidden_size': 128,
    'intermediate_size': 344,
    'num_hidden_layers': 8,
    'num_attention_heads': 4,
}
ROWS, PROMPT, ANSWER, RANK = 3, 36, 57, 8


@pytest.fixture(params=['parallel', 'sequential'])
def counted(request) -> tuple[OpenVLANetwork, Footprint, Adapters]:
    """Return a bfloat16 network with an adapter that learns, as on a GPU, and its sizes."""
    made = OpenVLANetwork(
        VISION,
        {**PUBLISHED_LLAMA, **LLAMA},
        ActionIds(),
        parallel=request.param == 'parallel',
    )
    made.to(torch.bfloat16).restore_buffers()
    made.eval().requires_grad_(False)
    footprint = Footprint.of(made, RANK)
    adapters = Adapters(made)
    adapters.become_learner(adapters.add(RANK, 16))
    return made, footprint, adapters


def kept_bytes(network: OpenVLANetwork, forward: Callable[[], object]) -> int:
    """Return the bytes that autograd keeps for the backward pass, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    sizes: dict[int, int] = {}
    alive = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # or another tensor could take its place in memory
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(forward())
    return sum(sizes.values())


class FusedNorm(torch.autograd.Function):
    """Keeps for its gradient what the norm's one kernel on a GPU keeps; a CPU has none."""

    @staticmethod
    def forward(context, values, weight):
        spread = values.float().pow(2).mean(-1, keepdim=True).rsqrt()
        context.save_for_backward(values, weight, spread)
        return (values.float() * spread).to(weight.dtype) * weight

    @staticmethod
    def backward(context, gradient):
        return gradient, None


@pytest.fixture(autouse=True)
def fused_norm(monkeypatch):
    """As on a GPU."""
    monkeypatch.setattr(
        torch.nn.functional,
        'rms_norm',
        lambda values, shape, weight, eps: FusedNorm.apply(values, weight),
    )


@pytest.mark.parametrize('checkpointed', [True, False])
def test_what_a_pass_keeps(counted, checkpointed):
    """Within 15 %, and not 2 % less than PyTorch keeps: rotations, which no width makes larger.

    The last layer, which keeps less than the others, is a larger share of a tiny network.
    """
    network, footprint, _ = counted
    network.set_gradient_checkpointing(checkpointed)
    inputs = Inputs(torch.zeros(ROWS, 1, 6, 224, 224), [(1,) * PROMPT] * ROWS)

    def judge() -> torch.Tensor:
        if network.parallel:
            return network.parallel_hidden(inputs, ANSWER - 1)
        return network.sequential_hidden(inputs, torch.zeros(ROWS, ANSWER + 1, dtype=torch.int64))

    kept = kept_bytes(network, judge)
    tokens = footprint.tokens(1, PROMPT, ANSWER)
    computed = footprint.checkpointed_bytes if checkpointed else footprint.kept_bytes
    assert 0.85 <= kept / computed(ROWS, tokens, 1) <= 1.02


def test_what_a_block_keeps_while_it_is_computed_again(counted):
    """Within 10 %, and never less than PyTorch keeps."""
    network, footprint, _ = counted
    tokens = footprint.tokens(1, PROMPT, ANSWER)
    model = network.language_model.model
    dtype = torch.bfloat16 if network.parallel else torch.float32
    hidden = torch.zeros(ROWS, tokens, 128, dtype=dtype, requires_grad=True)
    places = model.rotary_emb(hidden, torch.arange(tokens)[None])
    kept = kept_bytes(
        network, lambda: model.layers[0](hidden, position_embeddings=places, attention_mask=None)
    )
    assert 0.9 <= kept / footprint.layer_bytes(ROWS, tokens) <= 1.0


def test_an_adapter_has_the_counted_size(counted):
    """The one that was made and the one that is computed."""
    network, footprint, _ = counted
    made = sum(p.numel() for p in network.parameters() if p.requires_grad)
    published = sum(p.numel() for p in network.parameters()) - made
    assert footprint.adapter == made
    assert footprint.parameters == published


def test_what_learning_holds_beside_the_network(counted):
    """To the byte: the learner's adapter after a step of AdamW, the sampler's and a reference's."""
    network, footprint, adapters = counted
    learns = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(learns)
    sum(value.square().sum() for value in learns).backward()
    optimiser.step()
    for _ in range(2):
        adapters.add(RANK, 16)
    moments = [m for state in optimiser.state.values() for m in state.values() if m.dim() > 0]
    held = [value for name, value in network.named_parameters() if '.lora_' in name]
    held += [value.grad for value in learns] + moments
    assert sum(tensor.nbytes for tensor in held) == footprint.learning_bytes(2)


def test_what_is_computed_again_and_compared_takes_its_time():
    """Two passes more for either: 4, 6 and 8 operations a parameter and token."""
    footprint = Footprint.published()
    times = [
        footprint.update_seconds(1000, passes, 0.5, 1e15, checkpointed=checkpointed)
        for passes, checkpointed in ((0, False), (0, True), (1, True))
    ]
    work = footprint.parameters * 1000 / 0.5e15
    assert times == pytest.approx([4 * work, 6 * work, 8 * work])


def test_the_published_size():
    """7.54 B parameters, 14 GiB; counted without memory."""
    footprint = Footprint.published()
    assert footprint.parameters == 7_541_237_184
    assert footprint.weights_bytes() / GIB == pytest.approx(14.05, abs=0.01)
    tokens = footprint.tokens(1, PROMPT, ANSWER)
    assert tokens == 349
    rows = footprint.most_rows(80.0, tokens, 1)
    assert with_allowances(footprint.update_bytes(rows, tokens, 1)) <= 80.0
    assert with_allowances(footprint.update_bytes(rows + 1, tokens, 1)) > 80.0
    assert footprint.most_rows(16.0, tokens, 1) == 0


@pytest.mark.parametrize('gpus', ['nan', 'inf', '0', '24,nan'])
def test_memory_that_is_no_size_costs_one_line(capsys, gpus):
    """What Python reads as a number and no GPU has."""
    assert main(['memory', '--gpus', gpus]) == 2
    assert 'numbers above 0' in capsys.readouterr().err
    assert main(['memory', '--utilisation', '2']) == 2
    assert '--utilisation 2 is no share' in capsys.readouterr().err


def test_tokens_one_by_one_need_more_for_each_and_are_fewer(capsys):
    """Sums in float32, kept by 32 blocks and the last norm; 298 tokens instead of 349."""
    narrow, wide = (Footprint.published(parallel=parallel) for parallel in (True, False))
    more = wide.checkpointed_bytes(1, 100, 1) - narrow.checkpointed_bytes(1, 100, 1)
    assert more == 100 * 33 * 4096 * 2
    assert main(['memory', '--decoding', 'sequential']) == 0
    assert 'A row has 298 tokens' in capsys.readouterr().out
