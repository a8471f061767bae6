"""Keys and values of a language model in memory of a fixed size."""

from __future__ import annotations

from typing import Any

import torch
from transformers import Cache
from transformers.cache_utils import DynamicLayer


class FixedCache(Cache):
    """For one run of tokens, one after the other: neither reset nor reordered.

    transformers' own `StaticCache` hands attention all of its memory, which then needs a mask, and
    counts on the device. How far this one is filled Python knows: attention sees just that, and a
    CUDA graph records the places.
    """

    def __init__(self, layers: int, length: int) -> None:
        """length: positions at most."""
        super().__init__(layers=[_FixedLayer(length) for _ in range(layers)])


class _FixedLayer(DynamicLayer):
    """Its `keys` and `values` are views of the memory's filled part."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length
        self._memory: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put new ones [B, heads, n, size] behind the others; return all so far."""
        if self._memory is None:
            self.lazy_initialization(key_states, value_states)
            batch, heads, _, size = key_states.shape
            self._memory = (
                key_states.new_empty(batch, heads, self._length, size),
                value_states.new_empty(batch, heads, self._length, size),
            )
        first = self.get_seq_length()
        last = first + key_states.shape[-2]
        if last > self._length:
            raise ValueError(f'{last} positions do not fit into memory for {self._length}')
        keys, values = self._memory
        keys[:, :, first:last] = key_states
        values[:, :, first:last] = value_states
        self.keys, self.values = keys[:, :, :last], values[:, :, :last]
        return self.keys, self.values
