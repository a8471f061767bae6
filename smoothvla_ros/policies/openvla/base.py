"""A published checkpoint in memory, once, however many policies are made of it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION
from smoothvla_ros.policies.libero_proprioception import SIZE
from smoothvla_ros.policies.openvla.action_ids import ActionIds
from smoothvla_ros.policies.openvla.adapters import Adapters
from smoothvla_ros.policies.openvla.checkpoint import PublishedCheckpoint
from smoothvla_ros.policies.openvla.heads import ProprioceptionProjector, RegressionHead
from smoothvla_ros.policies.openvla.modeling import OpenVLANetwork
from smoothvla_ros.policies.openvla.prompt import Prompt
from smoothvla_ros.policies.openvla.settings import PARALLEL, REGRESSION, TOKENIZER, OpenVLASettings


class Base:
    """Network, tokeniser and statistics of one checkpoint on one device.

    Its weights never change: policies that learn hold adapters of their own on the one network, and
    `lock` is held while one of them runs.
    """

    def __init__(
        self,
        checkpoint: PublishedCheckpoint,
        settings: OpenVLASettings,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        """Read the weights.  Raises UserError naming the file that does not fit."""
        self.checkpoint = checkpoint
        self.action_ids = ActionIds(checkpoint.vocabulary_size, checkpoint.bins)
        self.prompt = Prompt(checkpoint.folder / TOKENIZER, checkpoint.vocabulary_size)
        self.normalisation = checkpoint.normalisation
        self.image_size = checkpoint.vision_shapes()[0].image_size
        self.network = _read_network(checkpoint, settings, self.action_ids, device, dtype)
        if _compiled(settings, device):
            self.network.compile_blocks()
        self.adapters = Adapters(self.network)
        self.lock = threading.RLock()
        self._discarded: deque[str] = deque()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.network.device

    @contextmanager
    def running(self, adapter: str | None) -> Iterator[None]:
        """Have the network alone, with an adapter or none."""
        with self.lock:
            while self._discarded:
                self.adapters.remove(self._discarded.popleft())
            with self.adapters.using(adapter):
                yield

    def discard(self, adapter: str) -> None:
        """Remove an adapter when nothing runs: any thread drops a policy, at any time."""
        self._discarded.append(adapter)


_loaded: WeakValueDictionary[tuple[Any, ...], Base] = WeakValueDictionary()
_loading = threading.Lock()


def load_base(
    checkpoint: PublishedCheckpoint, settings: OpenVLASettings, device: torch.device
) -> Base:
    """Return a checkpoint with its weights; what is in memory already is not read again.

    Raises UserError naming the file that does not fit.
    """
    dtype = _dtype(settings, device)
    key = (
        checkpoint.folder.resolve(),
        device,
        dtype,
        settings.decoding,
        settings.answer,
        settings.proprioception,
        _compiled(settings, device),
    )
    with _loading:
        base = _loaded.get(key)
        if base is None:
            base = Base(checkpoint, settings, device, dtype)
            _loaded[key] = base
        return base


def forget_base(base: Base) -> None:
    """Let `load_base` read the checkpoint again next time instead of handing out this one."""
    with _loading:
        for key in [key for key, value in _loaded.items() if value is base]:
            del _loaded[key]


def _compiled(settings: OpenVLASettings, device: torch.device) -> bool:
    return settings.compiled and device.type == 'cuda'


def _dtype(settings: OpenVLASettings, device: torch.device) -> torch.dtype:
    if settings.precision == 'auto':
        return torch.float32 if device.type == 'cpu' else torch.bfloat16
    return torch.bfloat16 if settings.precision == 'bfloat16' else torch.float32


def _read_network(
    checkpoint: PublishedCheckpoint,
    settings: OpenVLASettings,
    action_ids: ActionIds,
    device: torch.device,
    dtype: torch.dtype,
) -> OpenVLANetwork:
    with torch.device('meta'):
        network = OpenVLANetwork(
            checkpoint.vision_shapes(),
            checkpoint.llama,
            action_ids,
            parallel=settings.decoding == PARALLEL,
        )
    expected = {name: list(value.shape) for name, value in network.state_dict().items()}
    _compare(checkpoint, expected)
    network.load_state_dict(dict(checkpoint.tensors(device, dtype)), assign=True)
    network.restore_buffers()
    if settings.proprioception:
        state = _component(checkpoint, 'proprio_projector')
        network.proprio_projector = ProprioceptionProjector(SIZE, network.width)
        _fill(checkpoint, network.proprio_projector, state, 'proprio_projector')
    if settings.answer == REGRESSION:
        state = _component(checkpoint, 'action_head')
        network.action_head = RegressionHead(network.width, ACTION_DIMENSION)
        _fill(checkpoint, network.action_head, state, 'action_head')
    network.to(device=device, dtype=dtype)
    # Rotations of thousands of positions and norms of float32 sums need what that line took.
    network.restore_buffers()
    return network.eval().requires_grad_(False)


def _compare(checkpoint: PublishedCheckpoint, expected: dict[str, list[int]]) -> None:
    """Raise UserError naming the first weight that is missing, unknown or of another size."""
    found = {k: v for k, v in checkpoint.shapes.items() if not k.endswith('rotary_emb.inv_freq')}
    missing, unknown = (
        sorted(expected.keys() - found.keys()),
        sorted(found.keys() - expected.keys()),
    )
    if missing or unknown:
        what = f'have no {missing[0]}' if missing else f'have {unknown[0]}, which is unknown'
        raise UserError(
            f'checkpoint {checkpoint.folder}: the weights {what} ({len(missing)} missing, '
            f'{len(unknown)} unknown); this is not the published layout'
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise UserError(
                f'checkpoint {checkpoint.folder}: {name} is {found[name]}, config.json asks for '
                f'{shape}; copy both from one place'
            )


def _component(checkpoint: PublishedCheckpoint, name: str) -> dict[str, torch.Tensor]:
    state = checkpoint.component(name)
    if state is None:
        raise UserError(
            f'checkpoint {checkpoint.folder} has no {name}--*_checkpoint.pt, which openvla.json '
            'asks for; finish the download'
        )
    return state


def _fill(
    checkpoint: PublishedCheckpoint,
    module: torch.nn.Module,
    state: dict[str, torch.Tensor],
    name: str,
) -> None:
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        line = ' '.join(str(error).split())[:200]
        raise UserError(
            f'checkpoint {checkpoint.folder}: the weights of {name} do not fit the model ({line}); '
            'copy both from one place'
        ) from error
