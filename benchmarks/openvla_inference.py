"""How long OpenVLA decides on a GPU, and whether all of its ways to decide agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM

from benchmarks.openvla_checkpoint import (
    COUNT,
    DIMENSION,
    END,
    RandomCheckpoint,
    milliseconds,
    observation,
)
from smoothvla_ros.policies.openvla.captured import CapturedChunks, CapturedDecodings
from smoothvla_ros.policies.openvla.modeling import OpenVLANetwork
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy

_NO_ADAPTER = -1
# Rows and letters of the instruction: recordings of some shapes, with others in between.
_SHAPES = ((1, 30), (4, 30), (1, 24), (4, 30), (1, 30), (2, 12), (16, 30), (4, 30))


def plain_language_model(network: OpenVLANetwork) -> LlamaForCausalLM:
    """Return transformers' own modules on the weights of a network without adapters."""
    with torch.device('meta'):
        plain = LlamaForCausalLM(network.language_model.config)
    plain.load_state_dict(network.language_model.state_dict(), assign=True)
    plain.model.rotary_emb = network.language_model.model.rotary_emb
    for ours, theirs in zip(network.language_model.model.layers, plain.model.layers, strict=True):
        theirs.self_attn.is_causal = ours.self_attn.is_causal
    return plain.eval().requires_grad_(False)


@torch.no_grad()
def chunks(
    checkpoint: RandomCheckpoint, policy: OpenVLAPolicy, plain: LlamaForCausalLM, repeats: int
) -> dict[str, Any]:
    """Chunks of 8 at batch 1 and 16: plain, ours, ours from a recording, and with images.

    Plain is transformers' own language model on the same weights, over its whole vocabulary, behind
    our image trunks and projector (compiled where these are).
    """
    network, figures = policy.base.network, dict[str, Any]()
    recorded = CapturedChunks(network, COUNT)
    for rows in (1, 16):
        # What is compiled is compiled for this one shape.
        torch._dynamo.reset()
        given = checkpoint.inputs(policy, rows)
        seen = [observation(number) for number in range(rows)]

        def usual(given: Any = given, rows: int = rows) -> torch.Tensor:
            embeddings = network.prefix(given).embeddings
            end = plain.model.embed_tokens.weight[END].expand(rows, 1, -1)
            empty = embeddings.new_zeros(rows, COUNT, embeddings.shape[-1])
            logits = plain(inputs_embeds=torch.cat([embeddings, empty, end], dim=1)).logits
            return logits[:, -(COUNT + 2) : -2].argmax(-1)

        def eager(given: Any = given) -> torch.Tensor:
            return network.parallel_answer(given, COUNT)

        def captured(given: Any = given) -> torch.Tensor:
            return recorded.answer(given, _NO_ADAPTER)

        def act(seen: Any = seen, rows: int = rows) -> None:
            policy.act(seen, temperature=1.0, seeds=range(rows))

        actions: dict[str, Callable[[], Any]] = {
            'plain': usual,
            'eager': eager,
            'captured': captured,
            'with_images': act,
        }
        times = milliseconds(checkpoint.device, actions, repeats)
        figures[f'batch{rows}_ms_a_robot'] = {k: v / rows for k, v in times.items()}
        figures[f'batch{rows}_plain_by_captured'] = times['plain'] / times['captured']
        figures[f'batch{rows}_apart'] = _apart(captured(), eager())
    return figures


@torch.no_grad()
def tokens(checkpoint: RandomCheckpoint, policy: OpenVLAPolicy, repeats: int) -> dict[str, Any]:
    """Seven tokens at batch 1, against transformers' `generate` with its own cache."""
    network = policy.base.network
    plain = plain_language_model(network)
    given = checkpoint.inputs(policy, 1)
    recorded = CapturedDecodings(network, DIMENSION)
    length = network.lengths(given.prompts, 1, 0)[0]
    seen = [observation(0)]

    def generate() -> torch.Tensor:
        return plain.generate(
            inputs_embeds=network.prefix(given).embeddings,
            attention_mask=torch.ones(1, length, device=network.device),
            max_new_tokens=DIMENSION,
            min_new_tokens=DIMENSION,
            do_sample=False,
            use_cache=True,
        )

    actions: dict[str, Callable[[], Any]] = {
        'generate': generate,
        'eager': lambda: _likeliest(network.start(given, DIMENSION)),
        'captured': lambda: _likeliest(recorded.start(given, _NO_ADAPTER)),
        'with_images': lambda: policy.act(seen, temperature=1.0, seeds=[0]),
    }
    times = milliseconds(checkpoint.device, actions, repeats)
    return {'ms': times, 'generate_by_captured': times['generate'] / times['captured']}


@torch.no_grad()
def recordings(checkpoint: RandomCheckpoint, policy: OpenVLAPolicy) -> dict[str, Any]:
    """How far apart the ways to the same logits are, for each number of rows the largest.

    A way twice says what repeats; both against judging the tokens at once say which is right.
    """
    network = policy.base.network
    sequential = CapturedDecodings(network, DIMENSION)
    parallel = CapturedChunks(network, COUNT)
    apart: dict[str, dict[str, list[float]]] = {}
    for rows, letters in _SHAPES:
        given = checkpoint.inputs(policy, rows, letters)
        said = torch.full((rows, DIMENSION), 100, device=checkpoint.device)
        if network.parallel:
            ways = {
                'captured': lambda given=given: parallel.answer(given, _NO_ADAPTER).clone(),
                'eager': lambda given=given: network.parallel_answer(given, COUNT),
            }
        else:
            ways = {
                'captured': lambda given=given, said=said: _logits_after(
                    sequential.start(given, _NO_ADAPTER), said
                ),
                'eager': lambda given=given, said=said: _logits_after(
                    network.start(given, DIMENSION), said
                ),
                'judged': lambda given=given, said=said: network.action_logits(
                    network.sequential_hidden(given, said)
                ),
            }
        found = apart.setdefault(f'{rows}_rows', {})
        once = {name: way() for name, way in ways.items()}
        for name, way in ways.items():
            found.setdefault(f'{name}_twice', []).append(_apart(once[name], way()))
        for name in list(ways)[1:]:
            found.setdefault(f'captured_{name}', []).append(_apart(once['captured'], once[name]))
        if 'judged' in once:
            found.setdefault('eager_judged', []).append(_apart(once['eager'], once['judged']))
    return apart


def agreement(policy: OpenVLAPolicy) -> dict[str, float]:
    """How far log-probabilities of the same tokens are apart: in acting, and in learning."""
    seen = [observation(number) for number in range(16)]
    acted = policy.act(seen, temperature=1.0, seeds=range(16))
    with torch.no_grad():
        learned = policy.evaluate(seen, acted.tokens, temperature=1.0).log_probs
    apart = np.abs(learned.cpu().numpy() - acted.log_probs)
    return {'mean_nat': float(apart.mean()), 'largest_nat': float(apart.max())}


def _likeliest(decoding: Any) -> torch.Tensor:
    said = [decoding.logits().argmax(-1)]
    for _ in range(DIMENSION - 1):
        decoding.say(said[-1])
        said.append(decoding.logits().argmax(-1))
    return torch.stack(said)


def _logits_after(decoding: Any, said: torch.Tensor) -> torch.Tensor:
    """Return the logits of each place [B, n, bins] where the tokens [B, n] are said."""
    logits = [decoding.logits().clone()]
    for token in said.T[:-1]:
        decoding.say(token)
        logits.append(decoding.logits().clone())
    return torch.stack(logits, dim=1)


def _apart(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())
