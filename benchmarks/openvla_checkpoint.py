"""A checkpoint of random weights in OpenVLA's published layout, and a clock for GPUs."""

from __future__ import annotations

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

from smoothvla_ros.policies.openvla.load import load_openvla
from smoothvla_ros.policies.openvla.modeling import Inputs
from smoothvla_ros.policies.openvla.policy import OpenVLAPolicy
from smoothvla_ros.policies.openvla.settings import SETTINGS
from smoothvla_ros.records import Observation

# The writer of the published layout, which the tests use as well, knows nothing of this project.
TESTS = Path(__file__).resolve().parents[1] / 'test' / 'policies'
sys.path.append(str(TESTS))
import tiny_openvla  # noqa: E402

INSTRUCTION = 'pick up the black bowl between the plate and the ramekin and place it on the plate'
PARALLEL = {'decoding': 'parallel', 'chunk': 8}
COUNT, DIMENSION, END = 56, 7, 2
_WARM_UPS = 3


class RandomCheckpoint:
    """15 GB of random weights, or few where a command is only tried."""

    def __init__(self, folder: Path, device: str, tiny: bool) -> None:
        """Write it.  Prompts are tokenised as published, so that rows are as long."""
        self._folder = folder
        self.device = torch.device(device)
        pieces = json.loads((TESTS / 'data' / 'llama2_prompts.json').read_text())['pieces']
        self._published = tiny_openvla.write(
            folder / 'published',
            sizes=tiny_openvla.TINY if tiny else tiny_openvla.PUBLISHED,
            make=self._weight,
            words=tiny_openvla.llama_tokenizer(pieces),
        )

    def policy(self, **settings: Any) -> OpenVLAPolicy:
        """Load it, or make another policy of what is loaded."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        values = {'checkpoint': str(self._published), **settings}
        (folder / SETTINGS).write_text(json.dumps(values))
        return load_openvla(folder, self.device)

    def inputs(self, policy: OpenVLAPolicy, rows: int, letters: int | None = None) -> Inputs:
        """Return noise of the right shapes.  letters: of the instruction that count."""
        generator = torch.Generator().manual_seed(rows)
        size = policy.base.image_size
        pixels = torch.randn(rows, 1, 6, size, size, generator=generator).to(self.device)
        return Inputs(pixels, [policy.base.prompt.ids(INSTRUCTION[:letters])] * rows)

    def _weight(self, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        """Return a random weight of a size that keeps activations near 1."""
        value = torch.empty(shape, dtype=torch.bfloat16, device=self.device)
        if 'norm' in name:
            value.fill_(0.0 if name.endswith('bias') else 1.0)
        elif len(shape) == 1:
            value.normal_(std=0.02)
        elif 'embed' in name and 'patch' not in name:
            value.normal_(std=1.0)
        else:
            value.normal_(std=math.sqrt(1.0 / math.prod(shape[1:])))
        return value.cpu()


def observation(number: int) -> Observation:
    """Return a smooth image and an arm at rest."""
    return Observation(
        images={'agentview': tiny_openvla.image(number % 32, 256)},
        joint_positions=np.zeros(7),
        joint_velocities=np.zeros(7),
        gripper_positions=np.array([0.04, -0.04]),
        instruction=INSTRUCTION,
    )


def milliseconds(
    device: torch.device, actions: Mapping[str, Callable[[], Any]], repeats: int
) -> dict[str, float]:
    """Return the median time of each action, run in turns after a warm-up."""
    taken: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + _WARM_UPS):
        for name, action in actions.items():
            wait(device)
            started = time.perf_counter()
            action()
            wait(device)
            if turn >= _WARM_UPS:
                taken[name].append(1e3 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in taken.items()}


def wait(device: torch.device) -> None:
    """Let the GPU finish."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
