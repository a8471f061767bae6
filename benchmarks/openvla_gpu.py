"""OpenVLA and OpenVLA-OFT at their full size on one GPU: `make bench-gpu`.

Writes a checkpoint of random weights in the published layout (15 GB, into --folder), loads it as
any other and measures what docs/openvla.md and docs/scale.md say. Times are medians of synchronised
runs; what is compared runs in turns in one process. Prints JSON. `--tiny --device cpu` only shows
that it runs.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import LlamaForCausalLM

from smoothvla_ros.policies.openvla.captured import CapturedChunks, CapturedDecodings
from smoothvla_ros.policies.openvla.load import load_openvla
from smoothvla_ros.policies.openvla.memory import (
    CONTEXT_GIB,
    GIB,
    Footprint,
    with_allowances,
)
from smoothvla_ros.policies.openvla.modeling import Inputs, OpenVLANetwork
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.policies.openvla.settings import SETTINGS
from smoothvla_ros.records import Observation
from smoothvla_ros.training.chunk_batch import ChunkBatch
from smoothvla_ros.training.config import GrpoConfig
from smoothvla_ros.training.learner import GrpoLearner

# The writer of the published layout, which the tests use as well, knows nothing of this project.
TESTS = Path(__file__).resolve().parents[1] / 'test' / 'policies'
sys.path.append(str(TESTS))
import tiny_openvla  # noqa: E402

INSTRUCTION = 'pick up the black bowl between the plate and the ramekin and place it on the plate'
PARALLEL = {'decoding': 'parallel', 'chunk': 8}
COUNT, DIMENSION, END = 56, 7, 2
CHUNKS = 15


class Bench:
    """One checkpoint, and what is measured with it."""

    def __init__(self, folder: Path, device: str, tiny: bool, repeats: int) -> None:
        """Write the checkpoint."""
        self._folder = folder
        self._device = torch.device(device)
        self._repeats = repeats
        self._footprint: Footprint | None = None
        sizes = tiny_openvla.TINY if tiny else tiny_openvla.PUBLISHED
        recorded = json.loads((TESTS / 'data' / 'llama2_prompts.json').read_text())
        self._published = tiny_openvla.write(
            folder / 'published',
            sizes=sizes,
            make=self._weight,
            words=tiny_openvla.llama_tokenizer(recorded['pieces']),
        )

    def policy(self, **settings: Any) -> OpenVLAPolicy:
        """Load the checkpoint, or make another policy of what is loaded."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        values = {'checkpoint': str(self._published), 'captured': True, **settings}
        (folder / SETTINGS).write_text(json.dumps(values))
        return load_openvla(folder, self._device)

    @torch.no_grad()
    def chunks(self, policy: OpenVLAPolicy, plain: LlamaForCausalLM) -> dict[str, Any]:
        """Chunks of 8 at batch 1 and 16: plain, ours, ours from a recording, and with images.

        Plain is transformers' own language model on the same weights, over its whole vocabulary.
        """
        network, figures = policy.base.network, dict[str, Any]()
        recorded = CapturedChunks(network, COUNT)
        for rows in (1, 16):
            given = self.inputs(policy, rows)
            seen = [observation(number) for number in range(rows)]

            def usual(given: Inputs = given, rows: int = rows) -> torch.Tensor:
                embeddings = network.prefix(given).embeddings
                end = plain.model.embed_tokens.weight[END].expand(rows, 1, -1)
                empty = embeddings.new_zeros(rows, COUNT, embeddings.shape[-1])
                logits = plain(inputs_embeds=torch.cat([embeddings, empty, end], dim=1)).logits
                return logits[:, -(COUNT + 2) : -2].argmax(-1)

            def eager(given: Inputs = given) -> torch.Tensor:
                return network.action_logits(network.parallel_hidden(given, COUNT)).argmax(-1)

            def captured(given: Inputs = given) -> torch.Tensor:
                return recorded.answer(given, None).argmax(-1)

            def act(seen: list[Observation] = seen, rows: int = rows) -> None:
                policy.act(seen, temperature=1.0, seeds=range(rows))

            times = self.milliseconds(
                {'plain': usual, 'eager': eager, 'captured': captured, 'with_images': act}
            )
            figures[f'batch{rows}_ms_a_robot'] = {k: v / rows for k, v in times.items()}
            figures[f'batch{rows}_plain_by_captured'] = times['plain'] / times['captured']
            figures[f'batch{rows}_captured_is_eager'] = bool(torch.equal(captured(), eager()))
        return figures

    @torch.no_grad()
    def tokens(self, policy: OpenVLAPolicy) -> dict[str, Any]:
        """Seven tokens at batch 1, against transformers' `generate` with its own cache."""
        network = policy.base.network
        plain = plain_language_model(network)
        given = self.inputs(policy, 1)
        recorded = CapturedDecodings(network, DIMENSION)

        def generate() -> torch.Tensor:
            return plain.generate(
                inputs_embeds=network.prefix(given).embeddings,
                attention_mask=torch.ones(
                    1, network.lengths(given.prompts, 1, 0)[0], device=network.device
                ),
                max_new_tokens=DIMENSION,
                min_new_tokens=DIMENSION,
                do_sample=False,
                use_cache=True,
            )

        seen = [observation(0)]
        times = self.milliseconds(
            {
                'generate': generate,
                'eager': lambda: say(network.start(given, DIMENSION)),
                'captured': lambda: say(recorded.start(given, None)),
                'with_images': lambda: policy.act(seen, temperature=1.0, seeds=[0]),
            }
        )
        eager, again = say(network.start(given, DIMENSION)), say(recorded.start(given, None))
        return {
            'ms': times,
            'generate_by_captured': times['generate'] / times['captured'],
            'captured_is_eager': bool(torch.equal(eager, again)),
        }

    def agreement(self, policy: OpenVLAPolicy) -> dict[str, float]:
        """How far log-probabilities of the same tokens are apart: in acting, and in learning."""
        seen = [observation(number) for number in range(16)]
        acted = policy.act(seen, temperature=1.0, seeds=range(16))
        with torch.no_grad():
            learned = policy.evaluate(seen, acted.tokens, temperature=1.0).log_probs
        apart = np.abs(learned.cpu().numpy() - acted.log_probs)
        return {'mean_nat': float(apart.mean()), 'largest_nat': float(apart.max())}

    @torch.no_grad()
    def recordings(self, policy: OpenVLAPolicy) -> dict[str, Any]:
        """How far recordings that share their memory are from the eager path, in logits."""
        network = policy.base.network
        sequential = CapturedDecodings(network, DIMENSION)
        parallel = CapturedChunks(network, COUNT)
        apart: dict[str, list[float]] = {}
        for rows, letters in (
            (1, 30),
            (4, 30),
            (1, 24),
            (4, 30),
            (1, 30),
            (2, 12),
            (4, 30),
            (1, 24),
        ):
            given = self.inputs(policy, rows, letters)
            if network.parallel:
                ours = parallel.answer(given, None).clone()
                theirs = network.parallel_answer(given, COUNT)
            else:
                tokens = torch.full((DIMENSION, rows), 100, device=self._device)
                ours = logits_after(sequential.start(given, None), tokens)
                theirs = logits_after(network.start(given, DIMENSION), tokens)
            apart.setdefault(f'{rows}_rows', []).append(float((ours - theirs).abs().max()))
        return apart

    def batch(self, policy: OpenVLAPolicy, count: int) -> ChunkBatch:
        """Return chunks that the policy decides, with advantages of chance."""
        seen = [observation(number) for number in range(count)]
        acted = policy.act(seen, temperature=1.0, seeds=range(count))
        advantages = np.random.default_rng(0).normal(size=acted.tokens.shape).astype(np.float32)
        mask = np.ones(acted.tokens.shape, bool)
        return ChunkBatch(seen, acted.tokens, acted.log_probs, advantages, mask, 1.0)

    def update(
        self,
        policy: OpenVLAPolicy,
        batch: ChunkBatch,
        rows: int,
        peak_flops: float,
        reference: OpenVLAPolicy | None = None,
    ) -> dict[str, float]:
        """A GRPO update of the learner, images prepared in it; with the course anchor or without.

        Utilisation counts 4 * parameters * tokens: forward and the gradient of activations, without
        what checkpointing computes again (the weights' own gradients are not needed), and without
        the comparison with the reference.
        """
        footprint = self.footprint(policy)
        coefficient = GrpoConfig.course_coefficient if reference is not None else 0.0
        config = GrpoConfig(micro_batch=rows, course_coefficient=coefficient)
        learner = GrpoLearner(policy, config, reference)
        learner.accumulate(batch.take(np.arange(rows) % len(batch)), 1.0)
        self.wait()
        self.reset_peak()
        started = time.perf_counter()
        done = learner.update(batch, 0)
        self.wait()
        seconds = time.perf_counter() - started
        tokens = policy.lengths(batch.observations[:1])[0] * len(batch)
        return {
            'rows': rows,
            'chunks': len(batch),
            'seconds': seconds,
            'utilisation': 4.0 * footprint.parameters * tokens / seconds / peak_flops,
            'first_ratio_drift': done.first_ratio_drift,
            **self.peak(),
        }

    def memory(
        self, policy: OpenVLAPolicy, batch: ChunkBatch, rows: int, checkpointed: bool
    ) -> dict[str, Any]:
        """A pass of some rows forward and backward: its peak, and what was computed for it."""
        config = GrpoConfig(micro_batch=rows, course_coefficient=0.0)
        learner = GrpoLearner(policy, config)
        policy.base.network.set_gradient_checkpointing(checkpointed)
        self.reset_peak()
        learner.accumulate(batch.take(np.arange(rows) % len(batch)), 1.0)
        learner.optimiser.step()
        self.wait()
        tokens = policy.lengths(batch.observations[:1])[0]
        needed = self.footprint(policy).update_bytes(rows, tokens, 1, 0, checkpointed=checkpointed)
        return {
            'checkpointed': checkpointed,
            'rows': rows,
            'computed_gib': needed / GIB,
            'computed_with_allowances_gib': with_allowances(needed),
            **self.peak(),
        }

    def fits(
        self, policy: OpenVLAPolicy, batch: ChunkBatch, gib: float, checkpointed: bool
    ) -> dict[str, Any]:
        """Whether the most rows of `smoothvla memory` fit on a smaller GPU, which is played."""
        footprint = self.footprint(policy)
        tokens = policy.lengths(batch.observations[:1])[0]
        rows = footprint.most_rows(gib, tokens, 1, 0, checkpointed=checkpointed)
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(self._device).total_memory / GIB
        torch.cuda.set_per_process_memory_fraction((gib - CONTEXT_GIB) / whole)
        try:
            return {'gib': gib, 'fits': True, **self.memory(policy, batch, rows, checkpointed)}
        except torch.cuda.OutOfMemoryError:
            return {'gib': gib, 'fits': False, 'rows': rows, 'checkpointed': checkpointed}
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    def footprint(self, policy: OpenVLAPolicy) -> Footprint:
        """Return the sizes of the network."""
        if self._footprint is None:
            self._footprint = Footprint.of(policy.base.network, policy.settings.lora_rank)
        return self._footprint

    def reset_peak(self) -> None:
        """Forget the peak of memory."""
        if self._device.type == 'cuda':
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> dict[str, float]:
        """Return the peaks of what tensors and what the allocator held."""
        if self._device.type != 'cuda':
            return {}
        return {
            'peak_gib': torch.cuda.max_memory_allocated() / GIB,
            'peak_reserved_gib': torch.cuda.max_memory_reserved() / GIB,
        }

    def inputs(self, policy: OpenVLAPolicy, rows: int, letters: int | None = None) -> Inputs:
        """Return noise of the right shapes.  letters: of the instruction that count."""
        generator = torch.Generator().manual_seed(rows)
        size = policy.base.image_size
        pixels = torch.randn(rows, 1, 6, size, size, generator=generator).to(self._device)
        return Inputs(pixels, [policy.base.prompt.ids(INSTRUCTION[:letters])] * rows)

    def milliseconds(self, actions: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
        """Return the median time of each action, run in turns after a warm-up."""
        taken: dict[str, list[float]] = {name: [] for name in actions}
        for turn in range(self._repeats + 3):
            for name, action in actions.items():
                self.wait()
                started = time.perf_counter()
                action()
                self.wait()
                if turn >= 3:
                    taken[name].append(1e3 * (time.perf_counter() - started))
        return {name: statistics.median(values) for name, values in taken.items()}

    def wait(self) -> None:
        """Let the GPU finish."""
        if self._device.type == 'cuda':
            torch.cuda.synchronize(self._device)

    def _weight(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return a random weight of a size that keeps activations near 1."""
        value = torch.empty(shape, dtype=torch.bfloat16, device=self._device)
        if 'norm' in name:
            value.fill_(0.0 if name.endswith('bias') else 1.0)
        elif len(shape) == 1:
            value.normal_(std=0.02)
        elif 'embed' in name and 'patch' not in name:
            value.normal_(std=1.0)
        else:
            value.normal_(std=math.sqrt(1.0 / math.prod(shape[1:])))
        return value.cpu()


def logits_after(decoding: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Return the logits of each place [n, B, bins] where the tokens [n, B] are said."""
    logits = [decoding.logits().clone()]
    for said in tokens[:-1]:
        decoding.say(said)
        logits.append(decoding.logits().clone())
    return torch.stack(logits)


def say(decoding: Any) -> torch.Tensor:
    """Return the seven likeliest tokens."""
    said = [decoding.logits().argmax(-1)]
    for _ in range(DIMENSION - 1):
        decoding.say(said[-1])
        said.append(decoding.logits().argmax(-1))
    return torch.stack(said)


def observation(number: int) -> Observation:
    """Return a smooth image and an arm at rest."""
    return Observation(
        images={'agentview': tiny_openvla.image(number % 32, 256)},
        joint_positions=np.zeros(7),
        joint_velocities=np.zeros(7),
        gripper_positions=np.array([0.04, -0.04]),
        instruction=INSTRUCTION,
    )


def plain_language_model(network: OpenVLANetwork) -> LlamaForCausalLM:
    """Return transformers' own modules on the weights of a network without adapters."""
    with torch.device('meta'):
        plain = LlamaForCausalLM(network.language_model.config)
    plain.load_state_dict(network.language_model.state_dict(), assign=True)
    plain.model.rotary_emb = network.language_model.model.rotary_emb
    for ours, theirs in zip(network.language_model.model.layers, plain.model.layers, strict=True):
        theirs.self_attn.is_causal = ours.self_attn.is_causal
    return plain.eval().requires_grad_(False)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--tiny', action='store_true', help='tiny widths: to try the command')
    parser.add_argument('--folder', type=Path, help='where the checkpoint goes for a while')
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--episodes', type=int, default=64, help='of an update, 15 chunks each')
    parser.add_argument('--rows', type=int, default=16, help='rows of a pass of the update')
    parser.add_argument(
        '--peak-flops', type=float, default=989e12, help='of the GPU in bfloat16, dense'
    )
    options = parser.parse_args()
    if options.device != 'cpu' and not torch.cuda.is_available():
        parser.exit(2, 'bench-gpu: this machine has no CUDA GPU; nothing was measured\n')
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        started = time.perf_counter()
        bench = Bench(Path(folder), options.device, options.tiny, options.repeats)
        written = time.perf_counter()
        policy = bench.policy()
        report('files', {'written_s': written - started, 'loaded_s': time.perf_counter() - written})
        report('tokens', bench.tokens(policy))
        report('tokens_recordings', bench.recordings(policy))
        report('tokens_agreement', bench.agreement(policy))
        del policy
        policy = bench.policy(**PARALLEL, rows=16)
        plain = plain_language_model(policy.base.network)
        report('chunks', bench.chunks(policy, plain))
        report('chunks_recordings', bench.recordings(policy))
        report('chunks_agreement_16_rows', bench.agreement(policy))
        report('chunks_agreement_1_row', bench.agreement(bench.policy(**PARALLEL)))
        learn(bench, policy, options)
        compiled = bench.policy(**PARALLEL, rows=16, compiled=True)
        report('chunks_compiled', bench.chunks(compiled, plain))


def learn(bench: Bench, policy: OpenVLAPolicy, options: argparse.Namespace) -> None:
    """Measure updates: memory, time, and the same compiled, which stays so."""
    batch = bench.batch(policy, options.episodes * CHUNKS)
    reference = copy.copy(policy)
    learner = bench.policy(**PARALLEL)
    network, rows, peak = learner.base.network, options.rows, options.peak_flops
    learner.prepare_training()  # which sets checkpointing once, and no more
    network.set_gradient_checkpointing(False)
    report('update', bench.update(learner, batch, rows, peak))
    report('update_anchored', bench.update(learner, batch, rows, peak, reference))
    network.set_gradient_checkpointing(True)
    quarter = batch.take(np.arange(len(batch) // 4))
    report('update_checkpointed', bench.update(learner, quarter, rows, peak))
    for checkpointed, sizes in ((True, (1, 16, 64)), (False, (1, 8, 16))):
        for size in sizes:
            report('memory', bench.memory(learner, batch, size, checkpointed))
    if options.device != 'cpu':
        for gib, checkpointed in ((24, True), (48, True), (48, False), (80, True), (80, False)):
            report('fits', bench.fits(learner, batch, gib, checkpointed))
    network.set_gradient_checkpointing(False)
    network.compile_blocks()
    report('update_compiled', bench.update(learner, batch, rows, peak))


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Print at once: what was measured is not lost with what fails later."""
    values = {'gpu': torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    print(json.dumps({name: {**figures, **values, 'torch': torch.__version__}}), flush=True)


if __name__ == '__main__':
    main()
