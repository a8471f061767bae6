"""A chunk's inference with every buffer in its place, to be replayed as one CUDA graph."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch

from smoothvla_ros.policies.openvla.modeling import Inputs, OpenVLANetwork

_WARM_UPS = 3
_MOST_GRAPHS = 8


class CapturedChunks:
    """Logits of chunks from fixed buffers: one recording for each shape and adapter.

    A replay skips the time in which Python tells a GPU what to do next, which at a batch of one is
    as long as the work. Without a GPU the recorded steps run again as they are.
    """

    def __init__(self, network: OpenVLANetwork, count: int) -> None:
        """count: action tokens of a chunk."""
        self._network = network
        self._count = count
        self._recordings: OrderedDict[tuple[Any, ...], _Recording] = OrderedDict()

    @staticmethod
    def fits(inputs: Inputs) -> bool:
        """Say whether a recording can hold the inputs: rows of one length, which need no mask."""
        return len({len(ids) for ids in inputs.prompts}) == 1

    @torch.no_grad()
    def logits(self, inputs: Inputs, adapter: str | None) -> torch.Tensor:
        """Return [B, count, bins], as the network itself would; valid until the next call.

        adapter: the one in use.  Weights may change between calls, if they stay in their place.
        """
        told = inputs.proprioception
        key = (adapter, inputs.pixels.shape, len(inputs.prompts[0]), told is not None)
        recording = self._recordings.get(key)
        if recording is None:
            if len(self._recordings) == _MOST_GRAPHS:
                self._recordings.popitem(last=False)
            recording = self._recordings[key] = _Recording(self._network, self._count, inputs)
        self._recordings.move_to_end(key)
        return recording.replay(inputs)


class _Recording:
    """Buffers of one shape, and what is done with them."""

    def __init__(self, network: OpenVLANetwork, count: int, inputs: Inputs) -> None:
        device = network.device
        self._pixels = inputs.pixels.to(device, copy=True)
        self._words = torch.tensor([list(ids) for ids in inputs.prompts], device=device)
        told = inputs.proprioception
        self._told = told.to(device, copy=True) if told is not None else None
        static = Inputs(self._pixels, self._words.unbind(), self._told)

        def compute() -> None:
            self._logits = network.action_logits(network.parallel_hidden(static, count))

        self._run = _record(compute, device)

    def replay(self, inputs: Inputs) -> torch.Tensor:
        """Fill the buffers and run."""
        self._pixels.copy_(inputs.pixels)
        self._words.copy_(torch.tensor([list(ids) for ids in inputs.prompts]))
        if self._told is not None and inputs.proprioception is not None:
            self._told.copy_(inputs.proprioception)
        self._run()
        return self._logits


def _record(compute: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Return what does `compute` again: a CUDA graph of it on a GPU, itself elsewhere."""
    if device.type != 'cuda':
        return compute
    aside = torch.cuda.Stream(device)
    aside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(aside):
        for _ in range(_WARM_UPS):
            compute()
    torch.cuda.current_stream(device).wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        compute()
    return graph.replay
