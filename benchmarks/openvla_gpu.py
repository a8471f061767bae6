"""OpenVLA at its full size on one GPU, with random weights: `make bench-gpu`.

Times are medians of synchronised runs; every comparison is within one process, in turns. Prints
JSON. `--tiny --device cpu` only shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.adapters import Adapters
from smoothvla_ros.policies.openvla.captured import CapturedChunks
from smoothvla_ros.policies.openvla.memory import (
    PUBLISHED_LLAMA,
    PUBLISHED_VISION,
    Footprint,
    with_allowances,
)
from smoothvla_ros.policies.openvla.modeling import Inputs, OpenVLANetwork
from smoothvla_ros.policies.openvla.vision import VisionShape

TINY = (VisionShape(32, 3, 16, 64, 4), VisionShape(48, 3, 16, 112, 0))
TINY_LLAMA = {
    'hidden_size': 32,
    'intermediate_size': 64,
    'num_hidden_layers': 2,
    'num_attention_heads': 4,
}
PROMPT = (1, *range(1000, 1034), 29871)
CHUNK, DIMENSION = 8, 7


def build(device: str, tiny: bool, parallel: bool) -> OpenVLANetwork:
    """Return a network of random weights, made where it shall be."""
    llama: dict[str, Any] = {**PUBLISHED_LLAMA, **(TINY_LLAMA if tiny else {})}
    with torch.device('meta'):
        network = OpenVLANetwork(
            TINY if tiny else PUBLISHED_VISION, llama, ActionIds(), parallel=parallel
        )
    network = network.to(torch.float32 if device == 'cpu' else torch.bfloat16)
    network.to_empty(device=device)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if 'norm' in name and name.endswith('weight'):
                parameter.fill_(1.0)
            else:
                parameter.normal_(std=0.02)
    network.restore_buffers()
    return network.eval().requires_grad_(False)


def inputs(network: OpenVLANetwork, rows: int, images: int) -> Inputs:
    """Return noise of the right shapes."""
    generator = torch.Generator().manual_seed(rows)
    pixels = torch.randn(rows, images, 6, 224, 224, generator=generator).to(network.device)
    return Inputs(pixels, [PROMPT] * rows)


def milliseconds(actions: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return the median time of each action, run in turns after a warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 3):
        for name, action in actions.items():
            _wait()
            started = time.perf_counter()
            action()
            _wait()
            if turn >= 3:
                taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in taken.items()}


@torch.no_grad()
def parallel_inference(device: str, tiny: bool, repeats: int) -> dict[str, Any]:
    """Chunks of 8 at batch 1 and 16, against a plain forward pass over the whole vocabulary."""
    network = build(device, tiny, parallel=True)
    compiled = torch.compile(network.language_model.model, dynamic=False) if not tiny else None
    plain = network.language_model.model
    recorded = CapturedChunks(network, CHUNK * DIMENSION)
    figures: dict[str, Any] = {}
    for rows in (1, 16):
        given = inputs(network, rows, 1)

        def chunk(model: torch.nn.Module | None = None, given: Inputs = given) -> torch.Tensor:
            network.language_model.model = model or plain
            hidden = network.parallel_hidden(given, CHUNK * DIMENSION)
            return network.action_logits(hidden).float().argmax(-1)

        def whole(given: Inputs = given) -> torch.Tensor:
            network.language_model.model = plain
            hidden = network.parallel_hidden(given, CHUNK * DIMENSION)
            return network.language_model.lm_head(hidden).float().argmax(-1)

        def captured(given: Inputs = given) -> torch.Tensor:
            network.language_model.model = plain
            return recorded.logits(given, None).float().argmax(-1)

        actions: dict[str, Callable[[], Any]] = {
            'plain': whole,
            'ours': chunk,
            'ours_captured': captured,
        }
        if compiled is not None:
            actions['ours_compiled'] = lambda chunk=chunk: chunk(compiled)
        times = milliseconds(actions, repeats)
        for name, value in times.items():
            figures[f'{name}_batch{rows}_ms_a_robot'] = value / rows
        figures[f'fastest_batch{rows}'] = min(times, key=lambda name: times[name])
        figures[f'captured_is_eager_batch{rows}'] = bool(torch.equal(captured(), chunk()))
    network.language_model.model = plain
    return figures


@torch.no_grad()
def sequential_inference(device: str, tiny: bool, repeats: int) -> dict[str, Any]:
    """Seven tokens at batch 1, against transformers' `generate` with its own cache."""
    network = build(device, tiny, parallel=False)
    given = inputs(network, 1, 1)

    def ours() -> list[torch.Tensor]:
        decoding, said = network.start(given, DIMENSION), []
        for place in range(DIMENSION):
            if place:
                decoding.say(said[-1])
            said.append(decoding.logits().argmax(-1))
        return said

    def generate() -> torch.Tensor:
        return network.language_model.generate(
            inputs_embeds=network.prefix(given).embeddings,
            max_new_tokens=DIMENSION,
            min_new_tokens=DIMENSION,
            do_sample=False,
            use_cache=True,
        )

    return milliseconds({'generate_ms': generate, 'ours_ms': ours}, repeats)


@torch.no_grad()
def agreement(device: str, tiny: bool) -> dict[str, float]:
    """How far log-probabilities of the same tokens are apart: in acting, and in learning.

    OpenVLA's seven tokens one by one against one pass; OFT's chunk alone against among 16 rows.
    """

    def log_probs(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1))

    network = build(device, tiny, parallel=False)
    given = inputs(network, 1, 1)
    decoding, logits = network.start(given, DIMENSION), []
    for place in range(DIMENSION):
        if place:
            decoding.say(logits[-1].argmax(-1))
        logits.append(decoding.logits())
    acted = torch.stack(logits, dim=1)
    tokens = acted.argmax(-1)
    learned = network.action_logits(network.sequential_hidden(given, tokens))
    sequential = (log_probs(acted, tokens) - log_probs(learned, tokens)).abs().max()
    del network, decoding
    network = build(device, tiny, parallel=True)
    many = inputs(network, 16, 1)
    one = Inputs(many.pixels[:1], many.prompts[:1])
    acted = network.action_logits(network.parallel_hidden(one, CHUNK * DIMENSION))
    learned = network.action_logits(network.parallel_hidden(many, CHUNK * DIMENSION))[:1]
    tokens = acted.argmax(-1)
    parallel = (log_probs(acted, tokens) - log_probs(learned, tokens)).abs().max()
    return {'sequential_nat': float(sequential), 'parallel_nat': float(parallel)}


def update(device: str, tiny: bool, rows: int, peak_flops: float) -> dict[str, float]:
    """A micro-batch forward and backward through the adapter, checkpointed; and the comparison.

    Utilisation counts 4 * parameters * tokens: forward and the gradient of activations, without
    what checkpointing computes again (the weights' own gradients are not needed). The comparison
    with the starting policy, an adapter as after a resume, is a forward pass of either.
    """
    network = build(device, tiny, parallel=True)
    footprint = Footprint.of(network, 32)
    adapters = Adapters(network)
    adapters.become_learner(adapters.add(32, 16))
    reference = adapters.add(32, 16)
    adapters.add(32, 16)  # the sampler's
    network.set_gradient_checkpointing(True)
    given = inputs(network, rows, 1)
    parameters = [value for value in network.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=1e-4)
    if device != 'cpu':
        torch.cuda.reset_peak_memory_stats()

    def log_probs() -> torch.Tensor:
        logits = network.action_logits(network.parallel_hidden(given, CHUNK * DIMENSION))
        return torch.log_softmax(logits.float(), dim=-1)[..., 0]

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        log_probs().mean().backward()
        optimiser.step()

    @torch.no_grad()
    def compare() -> None:
        with adapters.using(reference):
            log_probs()

    times = milliseconds({'step': step, 'compare': compare}, 3)
    seconds, compared = times['step'] / 1e3, times['compare'] / 1e3
    tokens = rows * (256 + len(PROMPT) + CHUNK * DIMENSION + 1)
    updates = 64 * 15 / rows
    return {
        'rows': rows,
        'seconds': seconds,
        'seconds_of_64_episodes_of_15_chunks': seconds * updates,
        'with_the_course_anchor': (seconds + compared) * updates,
        'utilisation': 4.0 * footprint.parameters * tokens / seconds / peak_flops,
        'computed_gib': with_allowances(footprint.update_bytes(rows, tokens // rows, 1)),
        'peak_gib': 0.0 if device == 'cpu' else torch.cuda.max_memory_allocated() / 2**30,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--tiny', action='store_true', help='tiny widths: to try the command')
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--rows', type=int, default=8, help='rows of a micro-batch of the update')
    parser.add_argument(
        '--peak-flops', type=float, default=989e12, help='of the GPU in bfloat16, dense'
    )
    options = parser.parse_args()
    if options.device != 'cpu' and not torch.cuda.is_available():
        parser.exit(2, 'bench-gpu: this machine has no CUDA GPU; nothing was measured\n')
    device, tiny, repeats = options.device, options.tiny, options.repeats
    figures = {
        'parallel': parallel_inference(device, tiny, repeats),
        'sequential': sequential_inference(device, tiny, repeats),
        'agreement': agreement(device, tiny),
        'update': update(device, tiny, options.rows, options.peak_flops),
        'torch': torch.__version__,
    }
    print(json.dumps(figures, indent=2))


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == '__main__':
    main()
