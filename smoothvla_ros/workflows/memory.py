"""`smoothvla memory`: what OpenVLA needs of a GPU, computed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION
from smoothvla_ros.policies.openvla.memory import Footprint, with_allowances
from smoothvla_ros.policies.openvla.settings import PARALLEL, SEQUENTIAL
from smoothvla_ros.training.config import GrpoConfig

# Dense bfloat16 operations a second of an RTX 4090, an L40S and an H100, by their makers.
_GPUS = {'24': 165e12, '48': 362e12, '80': 989e12}
_PROMPT = 36


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        '--gpus', default='24,48,80', help='memory of the GPUs, GiB (default: 24,48,80)'
    )
    parser.add_argument('--images', type=int, default=1, help='images a decision (default: 1)')
    parser.add_argument(
        '--decoding',
        choices=(PARALLEL, SEQUENTIAL),
        default=PARALLEL,
        help='parallel: a chunk at once (OpenVLA-OFT); sequential: one step, by tokens (OpenVLA)',
    )
    parser.add_argument(
        '--chunk',
        type=int,
        default=8,
        help='steps a decision where decoding is parallel (default: 8)',
    )
    parser.add_argument('--rank', type=int, default=32, help='rank of the adapter (default: 32)')
    parser.add_argument(
        '--decisions',
        type=int,
        default=None,
        help='decisions of an update (default: 64 episodes of 120 steps)',
    )
    parser.add_argument(
        '--utilisation',
        type=float,
        default=0.33,
        help='share of the peak that passes run at (default: 0.33, measured on an H200)',
    )
    for name in ('course_coefficient', 'kl_coefficient'):
        default = getattr(GrpoConfig, name)
        parser.add_argument(
            '--' + name.replace('_', '-'),
            type=float,
            default=default,
            help=f'as in training; 0 needs less (default: {default:g})',
        )


def run(arguments: argparse.Namespace) -> int:
    """Print the table.  Raises UserError for sizes that are no numbers above 0."""
    try:
        gpus = [float(word) for word in arguments.gpus.split(',')]
    except ValueError as error:
        raise UserError(f'--gpus {arguments.gpus}: give numbers such as 24,80') from error
    parallel = arguments.decoding == PARALLEL
    decisions = arguments.decisions
    if decisions is None:
        decisions = 64 * 120 // max(1, arguments.chunk if parallel else 1)
    counts = (arguments.images, arguments.chunk, arguments.rank, decisions)
    if not all(0 < number < math.inf for number in (*gpus, *counts)):
        raise UserError(
            'memory: --gpus, --images, --chunk, --rank and --decisions are numbers above 0'
        )
    if not 0 < arguments.utilisation <= 1:
        raise UserError(
            f'memory: --utilisation {arguments.utilisation:g} is no share of the peak; give a '
            'number above 0, at most 1'
        )
    training = GrpoConfig(
        course_coefficient=arguments.course_coefficient, kl_coefficient=arguments.kl_coefficient
    )
    lines = table(
        gpus,
        training,
        rank=arguments.rank,
        images=arguments.images,
        chunk=arguments.chunk if parallel else None,
        decisions=decisions,
        utilisation=arguments.utilisation,
    )
    print('\n'.join(lines))
    return 0


def table(
    gpus: Sequence[float],
    training: GrpoConfig,
    *,
    rank: int,
    images: int,
    chunk: int | None,
    decisions: int,
    utilisation: float,
) -> list[str]:
    """Return the lines of a Markdown table, a GPU a row, of the published OpenVLA.

    gpus: memory of each, GiB.  rank: of the adapter.  images: a decision.  decisions: an update.
    chunk: steps of a decision that is said in parallel; None where one is said token by token.
    utilisation: share of a GPU's peak that passes run at.
    """
    footprint = Footprint.published(rank, parallel=chunk is not None)
    passes = int(training.needs_reference)
    # Beside the adapter that learns: the sampler's, and the reference's as it is after a resume.
    others = 2 if training.needs_reference else 1
    # Said in parallel, an end token follows; one after the other, the last goes in nowhere.
    answer = ACTION_DIMENSION - 1 if chunk is None else chunk * ACTION_DIMENSION + 1
    tokens = footprint.tokens(images, _PROMPT, answer)
    weights = footprint.weights_bytes()

    def inference(rows: int) -> float:
        return with_allowances(weights + footprint.inference_bytes(rows, tokens, images))

    lines = [
        'Computed from shapes; in GiB, with 10 % for fragments and 1 for the driver.',
        f'A row has {tokens} tokens; the adapter {footprint.adapter / 1e6:.0f} M weights, rank '
        f'{rank}. Every row {"also passes" if passes else "does not pass"} forward '
        'through the starting policy, to compare.',
        f'Updates: most rows a pass, their `micro_tokens`, and seconds for {decisions} '
        f'decisions at {utilisation:.0%} of the peak.',
        '',
        '| GPU, GiB | inference, 1 row | 16 rows | update, activations computed again '
        '(`gradient_checkpointing`) | update, activations kept |',
        '|---|---|---|---|---|',
    ]
    for gib in gpus:
        updates = []
        for checkpointed in (True, False):
            most = footprint.most_rows(gib, tokens, images, others, checkpointed=checkpointed)
            if most == 0:
                updates.append('does not fit')
                continue
            peak = _GPUS.get(f'{gib:g}')
            taken = ''
            if peak is not None:
                seconds = footprint.update_seconds(
                    tokens * decisions, passes, utilisation, peak, checkpointed=checkpointed
                )
                taken = f', {seconds:.0f} s'
            rows = 'row' if most == 1 else 'rows'
            updates.append(f'{most} {rows}, {most * tokens}{taken}')
        lines.append(
            f'| {gib:g} | {inference(1):.1f} | {inference(16):.1f} | {" | ".join(updates)} |'
        )
    return lines
