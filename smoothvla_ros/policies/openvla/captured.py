"""An inference with every buffer in its place, to be replayed as CUDA graphs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

from smoothvla_ros.policies.openvla.modeling import Decoding, Inputs, OpenVLANetwork

_WARM_UPS = 3
_MOST_RECORDINGS = 16  # libero_90 has instructions of 13 lengths

_Recording = TypeVar('_Recording', bound='_Buffers')


class _Recordings(Generic[_Recording]):
    """One recording for each shape and adapter, the last few of them kept.

    A replay skips the time in which Python tells a GPU what to do next, which at a batch of one is
    longer than the work. Without a GPU the recorded steps run again as they are.
    """

    def __init__(
        self, record: Callable[[Inputs, _Memory], _Recording], device: torch.device
    ) -> None:
        self._record = record
        self._memory = _Memory(device)
        self._kept: OrderedDict[tuple[Any, ...], _Recording] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def filled(self, inputs: Inputs, adapter: int) -> _Recording:
        """Return the recording of the inputs' shape with the inputs in its buffers.

        adapter: the serial number of the one in use.
        """
        key = (adapter, inputs.pixels.shape, len(inputs.prompts[0]))
        recording = self._kept.get(key)
        if recording is None:
            if len(self._kept) == _MOST_RECORDINGS:
                self._kept.popitem(last=False)
            recording = self._kept[key] = self._record(inputs, self._memory)
        self._kept.move_to_end(key)
        recording.fill(inputs)
        return recording


def fits(inputs: Inputs) -> bool:
    """Say whether a recording can hold the inputs: rows of one length, which need no mask."""
    return len({len(ids) for ids in inputs.prompts}) == 1


class CapturedChunks:
    """Answers that are chunks, said at once."""

    def __init__(self, network: OpenVLANetwork, count: int) -> None:
        """count: action tokens of a chunk."""
        self.recordings = _Recordings(
            lambda inputs, memory: _Chunk(network, count, inputs, memory), network.device
        )

    @torch.no_grad()
    def answer(self, inputs: Inputs, adapter: int) -> torch.Tensor:
        """Return the network's `parallel_answer`; valid until the next call.

        inputs: that a recording `fits`.  adapter: the serial number of the one in use.  Weights may
        change between calls, if they stay in their place.
        """
        return self.recordings.filled(inputs, adapter).run()


class CapturedDecodings:
    """Tokens that are said one after the other."""

    def __init__(self, network: OpenVLANetwork, count: int) -> None:
        """count: action tokens of a step."""
        self.recordings = _Recordings(
            lambda inputs, memory: CapturedDecoding(network, count, inputs, memory), network.device
        )

    @torch.no_grad()
    def start(self, inputs: Inputs, adapter: int) -> CapturedDecoding:
        """Run the prefix; the answer does as `Decoding` does, until the next start."""
        decoding = self.recordings.filled(inputs, adapter)
        decoding.start()
        return decoding


class _Buffers:
    """What goes in, at fixed places."""

    def __init__(self, network: OpenVLANetwork, inputs: Inputs) -> None:
        device = network.device
        self._pixels = inputs.pixels.to(device, copy=True)
        self._words = _words(inputs).to(device)
        told = inputs.proprioception
        self._told = told.to(device, copy=True) if told is not None else None
        self._static = Inputs(self._pixels, self._words.unbind(), self._told)

    def fill(self, inputs: Inputs) -> None:
        """Take inputs of the same shape."""
        self._pixels.copy_(inputs.pixels)
        self._words.copy_(_words(inputs))
        if self._told is not None and inputs.proprioception is not None:
            self._told.copy_(inputs.proprioception)


class _Chunk(_Buffers):
    """A chunk: one graph."""

    def __init__(
        self, network: OpenVLANetwork, count: int, inputs: Inputs, memory: _Memory
    ) -> None:
        super().__init__(network, inputs)
        static = self._static

        def compute() -> torch.Tensor:
            return network.parallel_answer(static, count)

        memory.warm_up(compute)
        self._step = _Step(compute, memory)

    def run(self) -> torch.Tensor:
        """Return the answer to what is in the buffers."""
        return self._step.run()


class CapturedDecoding(_Buffers):
    """Token after token: a graph for the prefix and one for each token but the last.

    Each reads what those before it left in memory.
    """

    def __init__(
        self, network: OpenVLANetwork, count: int, inputs: Inputs, memory: _Memory
    ) -> None:
        """Record, with the inputs in the buffers."""
        super().__init__(network, inputs)
        static = self._static
        said = torch.zeros(len(inputs.prompts), dtype=torch.int64, device=network.device)
        # Not on `self`: a graph would then live until somebody collects cycles.
        decodings: list[Decoding] = []

        def start() -> torch.Tensor:
            decodings[:] = [network.start(static, count)]
            return decodings[0].logits()

        def go_on() -> torch.Tensor:
            decodings[0].say(said)
            return decodings[0].logits()

        def whole() -> None:
            start()
            for _ in range(count - 1):
                go_on()

        memory.warm_up(whole)
        self._said = said
        self._steps = [_Step(step, memory) for step in [start, *[go_on] * (count - 1)]]
        self._decodings = decodings
        self._place = 0
        self._logits: torch.Tensor

    def start(self) -> None:
        """Run the prefix again."""
        self._place = 0
        self._logits = self._steps[0].run()

    def logits(self) -> torch.Tensor:
        """Return [B, bins] of the next action token."""
        return self._logits

    def say(self, tokens: torch.Tensor) -> None:
        """Take the tokens [B] that were chosen."""
        self._place += 1
        self._said.copy_(tokens)
        self._logits = self._steps[self._place].run()


class _Memory:
    """One memory for the graphs of all recordings, of which one runs at a time."""

    def __init__(self, device: torch.device) -> None:
        self.pool = torch.cuda.graph_pool_handle() if device.type == 'cuda' else None

    def warm_up(self, compute: Callable[[], Any]) -> None:
        """Let libraries choose and allocate, which a recording must not see."""
        if self.pool is None:
            return
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                compute()
        torch.cuda.current_stream().wait_stream(aside)


class _Step:
    """Work whose result always lies in the same place: a CUDA graph of it on a GPU."""

    def __init__(self, compute: Callable[[], torch.Tensor], memory: _Memory) -> None:
        self._again = compute
        if memory.pool is None:
            return
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=memory.pool):
            output = compute()

        def replay() -> torch.Tensor:
            graph.replay()
            return output

        self._again = replay

    def run(self) -> torch.Tensor:
        """Do it; return its result."""
        return self._again()


def _words(inputs: Inputs) -> torch.Tensor:
    return torch.tensor([list(ids) for ids in inputs.prompts])
