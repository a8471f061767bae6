"""transformers' Llama, spared passes over memory and what nobody reads: names and weights stay."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, LlamaConfig, LlamaForCausalLM
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaModel,
    LlamaRotaryEmbedding,
)


def build_language_model(config: LlamaConfig) -> LlamaForCausalLM:
    """Return transformers' model with the modules of this file under the same names.

    Its `model` takes one argument more, `last_positions`: only so many hidden states come back,
    those of the last positions, which spares the last layer most of its work: any number where
    every token sees every other, one where tokens see those before them (ValueError).
    config: without attention dropout.
    """
    if config.attention_dropout:
        raise ValueError('attention dropout is not supported')
    whole = LlamaForCausalLM(config)
    model = whole.model
    last = len(model.layers) - 1
    model.layers[last] = _LastLayer(config, last)
    for number, layer in enumerate(model.layers):
        layer.add_module('self_attn', _Attention(config, number))
    _replace_norms(model)
    return whole


def keep_exact_norms(model: LlamaModel) -> None:
    """Keep the norms' weights in float32 beside their own, 16 KB each, for sums in float32.

    To be called when the weights are in their place, and again after they changed.
    """
    for module in model.modules():
        if isinstance(module, _Norm):
            module.keep_exact()


def rotary(config: LlamaConfig, dtype: torch.dtype) -> nn.Module:
    """Return the rotations of positions, for queries and keys of this precision."""
    return _Rotary(config, dtype)


class _Attention(LlamaAttention):
    """The same numbers from fewer passes over queries and keys."""

    def forward(  # type: ignore[override]
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        queries: int | None = None,
        **given: Any,
    ) -> tuple[torch.Tensor, None]:
        """queries: only the last so many positions ask; the keys are those of all."""
        if self.is_causal and queries not in (None, 1):
            raise ValueError(f'{queries} queries need a causal mask of their own')
        asking = hidden_states if queries is None else hidden_states[:, -queries:]
        query, key, value = (
            project(positions).unflatten(-1, (-1, self.head_dim))
            for project, positions in (
                (self.q_proj, asking),
                (self.k_proj, hidden_states),
                (self.v_proj, hidden_states),
            )
        )
        query, key = _both_rotated(query, key, *position_embeddings)
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        if queries is not None and attention_mask is not None:
            attention_mask = attention_mask[:, :, -queries:]
        attended, _ = sdpa_attention_forward(
            self, query, key, value, attention_mask, scaling=self.scaling, **given
        )
        return self.o_proj(attended.flatten(2)), None


class _LastLayer(LlamaDecoderLayer):
    """Answers for the positions alone that are read."""

    def forward(  # type: ignore[override]
        self, hidden_states: torch.Tensor, last_positions: int | None = None, **given: Any
    ) -> torch.Tensor:
        if last_positions is None:
            answered: torch.Tensor = super().forward(hidden_states, **given)
            return answered
        attended, _ = self.self_attn(
            self.input_layernorm(hidden_states), queries=last_positions, **given
        )
        summed = hidden_states[:, -last_positions:] + attended
        return summed + self.mlp(self.post_attention_layernorm(summed))


class _Norm(nn.RMSNorm):
    """PyTorch's own norm, one or two kernels instead of six.

    It answers in the precision of its weights, also where the sums between blocks are float32.
    """

    exact_weight: torch.Tensor | None

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__(width, epsilon)
        self.register_buffer('exact_weight', None, persistent=False)

    def keep_exact(self) -> None:
        """Keep the weights in float32 too; where they are kept already, in their place."""
        kept, weight = self.exact_weight, self.weight.detach().float()
        if kept is not None and (kept.dtype, kept.device) == (weight.dtype, weight.device):
            kept.copy_(weight)  # what a CUDA graph recorded is an address
        else:
            self.exact_weight = weight

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if values.dtype == self.weight.dtype:
            return super().forward(values)
        weight = self.exact_weight
        if weight is None or weight.dtype != values.dtype or self.weight.requires_grad:
            weight = self.weight.to(values.dtype)
        normed = functional.rms_norm(values, self.normalized_shape, weight, self.eps)
        return normed.to(self.weight.dtype)


class _Rotary(LlamaRotaryEmbedding):
    """Rotations of the precision of queries and keys, not of the sums between blocks."""

    def __init__(self, config: LlamaConfig, dtype: torch.dtype) -> None:
        super().__init__(config)
        self._dtype = dtype

    def forward(
        self, x: torch.Tensor, position_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        cosines, sines = super().forward(x, position_ids)
        return cosines.to(self._dtype), sines.to(self._dtype)


def _replace_norms(model: LlamaModel) -> None:
    width, epsilon = model.config.hidden_size, model.norm.variance_epsilon
    model.add_module('norm', _Norm(width, epsilon))
    for layer in model.layers:
        for name in ('input_layernorm', 'post_attention_layernorm'):
            layer.add_module(name, _Norm(width, epsilon))


def _both_rotated(
    query: torch.Tensor, key: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return queries of the last positions and keys of all, turned by the positions' angles."""
    asking = query.shape[1]
    if key.shape[1] == 1 and not torch.is_grad_enabled():
        # One token's work is too small to fill a GPU: fewer kernels are faster, not fewer bytes.
        both = _rotated(torch.cat([query, key], dim=2), cosines, sines)
        query, key = both.split([query.shape[2], key.shape[2]], dim=2)
        return query, key
    return (
        _rotated(query, cosines[:, -asking:], sines[:, -asking:]),
        _rotated(key, cosines, sines),
    )


def _rotated(heads: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor) -> torch.Tensor:
    """Return heads [B, n, heads, size] turned by their positions' angles [B, n, size].

    Half the memory traffic of transformers' own where nothing is kept for a backward pass; learning
    rounds as acting does.
    """
    cosines, sines = cosines.unsqueeze(2), sines.unsqueeze(2)
    turned = heads * cosines
    first, second = heads.chunk(2, dim=-1)
    first_sines, second_sines = sines.chunk(2, dim=-1)
    turned_first, turned_second = turned.chunk(2, dim=-1)
    if torch.is_grad_enabled():
        return torch.cat(
            [
                torch.addcmul(turned_first, second, first_sines, value=-1),
                torch.addcmul(turned_second, first, second_sines),
            ],
            dim=-1,
        )
    turned_first.addcmul_(second, first_sines, value=-1)
    turned_second.addcmul_(first, second_sines)
    return turned
