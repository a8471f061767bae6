"""OpenVLA and OpenVLA-OFT at their full size on one GPU of 80 GB: `make bench-gpu`.

Writes a checkpoint of random weights in the published layout (15 GB, into --folder), loads it as
any other and measures what docs/openvla.md and docs/scale.md say. Times are medians of synchronised
runs; what is compared runs in turns in one process. Prints a line of JSON as each is measured.
`--tiny --device cpu` only shows that it runs.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from benchmarks import openvla_inference
from benchmarks.openvla_checkpoint import PARALLEL, RandomCheckpoint
from benchmarks.openvla_update import Updates, batch_of
from smoothvla_ros.policies.openvla.memory import Footprint

CHUNKS = 15


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--tiny', action='store_true', help='tiny widths: to try the command')
    parser.add_argument('--folder', type=Path, help='where the checkpoint goes for a while')
    parser.add_argument('--repeats', type=int, default=15)
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
        checkpoint = RandomCheckpoint(Path(folder), options.device, options.tiny)
        report('files', {'written_s': time.perf_counter() - started})
        decide_one_by_one(checkpoint, options.repeats)
        decide_at_once(checkpoint, options.repeats)
        learn(checkpoint, options)


def decide_one_by_one(checkpoint: RandomCheckpoint, repeats: int) -> None:
    """Measure OpenVLA's seven tokens."""
    started = time.perf_counter()
    policy = checkpoint.policy()
    report('files', {'loaded_s': time.perf_counter() - started})
    report('tokens', openvla_inference.tokens(checkpoint, policy, repeats))
    report('tokens_recordings', openvla_inference.recordings(checkpoint, policy))
    report('tokens_agreement', openvla_inference.agreement(policy))


def decide_at_once(checkpoint: RandomCheckpoint, repeats: int) -> None:
    """Measure OpenVLA-OFT's chunks, as they are and compiled, each for one shape at a time."""
    for compiled in (False, True):
        policy = checkpoint.policy(**PARALLEL, rows=16, compiled=compiled)
        plain = openvla_inference.plain_language_model(policy.base.network)
        name = 'chunks_compiled' if compiled else 'chunks'
        report(name, openvla_inference.chunks(checkpoint, policy, plain, repeats))
        report(f'{name}_recordings', openvla_inference.recordings(checkpoint, policy))
        report(f'{name}_agreement_16_rows', openvla_inference.agreement(policy))
        alone = checkpoint.policy(**PARALLEL, compiled=compiled)
        report(f'{name}_agreement_1_row', openvla_inference.agreement(alone))
        del policy, plain, alone


def learn(checkpoint: RandomCheckpoint, options: argparse.Namespace) -> None:
    """Measure updates: time, memory, and what fits.

    Each update is of an adapter that says nothing yet, on a batch that was decided without one: its
    first ratios differ from 1 by rounding alone.
    """
    policy = checkpoint.policy(**PARALLEL, rows=16)
    footprint = Footprint.of(policy.base.network, policy.settings.lora_rank)
    batch = batch_of(policy, options.episodes * CHUNKS)

    def updates(*, compiled: bool = False) -> Updates:
        return Updates(checkpoint.policy(**PARALLEL, compiled=compiled), footprint, batch)

    def timed(of: Updates, **how: Any) -> dict[str, Any]:
        return of.timed(len(batch), options.rows, options.peak_flops, **how)

    for checkpointed in (False, True):
        report('update', timed(updates(), checkpointed=checkpointed))
    report('update_compared', timed(updates(), checkpointed=False, reference=policy))
    for checkpointed, sizes in ((True, (1, 16, 64)), (False, (1, 8, 16))):
        for size in sizes:
            report('memory', updates().memory(size, checkpointed=checkpointed))
    if options.device != 'cpu':
        for gib, checkpointed in ((24, True), (48, True), (48, False), (80, True), (80, False)):
            report('fits', updates().fits(gib, checkpointed=checkpointed))
    del policy
    report('update_compiled', timed(updates(compiled=True), checkpointed=False))


def report(name: str, figures: Mapping[str, Any]) -> None:
    """Print at once: what was measured is not lost with what fails later."""
    values = {'gpu': torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    print(json.dumps({name: {**figures, **values, 'torch': torch.__version__}}), flush=True)


if __name__ == '__main__':
    main()
