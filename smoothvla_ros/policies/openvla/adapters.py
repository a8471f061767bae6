"""LoRA adapters by peft: many on one network, one in use at a time, saved alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.openvla.json_fields import Fields, unreadable
from smoothvla_ros.policies.tensor_files import check_finite, tensor_file_errors

ADAPTER_CONFIGURATION = 'adapter_config.json'
ADAPTER_WEIGHTS = 'adapter_model.safetensors'
# One name in every process: checkpoints hold the optimiser's state by the parameters' names.
LEARNER = 'learner'
_PREFIX = 'base_model.model.'
# Modules that never run, or that an adapter made here leaves as they are. Those of the published
# tools change the first two as well.
_NEVER = ('attn_pool', 'lm_head', 'action_head', 'proprio_projector')
# peft writes the weight of an adapted output layer beside its adapter, though it never changes.
_UNCHANGED = '.base_layer.weight'
# What peft may say of an adapter that is A times B, scaled by alpha over the rank: anything else is
# another change of the weights, or is relative to weights that are not the checkpoint's.
_PLAIN: dict[str, tuple[Any, ...]] = {
    'use_rslora': (None, False),
    'use_dora': (None, False),
    'alpha_pattern': (None, {}),
    'rank_pattern': (None, {}),
    'init_lora_weights': (None, True, False, 'gaussian', 'eva', 'orthogonal'),
}


class Adapters:
    """The adapters of one network, whose own weights never change.

    A policy that learns and the one that it started from are two adapters (or one and none) on the
    same weights: no second copy of the network is needed for a reference.
    """

    def __init__(self, network: nn.Module) -> None:
        """Add none yet."""
        self._network = network
        self._active: str | None = None
        self._configurations: dict[str, LoraConfig] = {}
        self._layers: list[Any] = []
        self._serials: dict[str, int] = {}
        self._made = itertools.count()
        # Inputs and outputs of every linear layer, by its name.
        self._linear = {
            name: module.in_features + module.out_features
            for name, module in network.named_modules()
            if isinstance(module, nn.Linear)
        }

    def add(self, rank: int, alpha: int) -> str:
        """Add an adapter that changes nothing yet to every layer that runs; return its name."""
        return self._inject(self._free_name(), self._targets(), rank, alpha)

    def serial(self, name: str | None) -> int:
        """Return a number that no other adapter of this network has or had; -1 for none."""
        return -1 if name is None else self._serials[name]

    def _free_name(self) -> str:
        """Return the first name that is free.

        torch.compile takes a name that it has not seen for another network.
        """
        names = (f'adapter{number}' for number in itertools.count())
        return next(name for name in names if name not in self._configurations)

    def size(self, rank: int) -> int:
        """Return the weights of an adapter that `add` would make."""
        return sum(rank * self._linear[name] for name in self._targets())

    def _targets(self) -> list[str]:
        """Return the names of the linear layers that run and that adapters are for."""
        depth: dict[str, int] = {}
        for name in self._linear:
            trunk, found, rest = name.partition('.blocks.')
            if found:
                depth[trunk] = max(depth.get(trunk, 0), int(rest.split('.')[0]))
        last = tuple(f'{trunk}.blocks.{number}.' for trunk, number in depth.items())
        return [
            name
            for name in self._linear
            if not any(part in name for part in _NEVER) and not name.startswith(last)
        ]

    def read(self, folder: Path) -> str:
        """Add the adapter in a folder, as peft writes it; return its name.

        Raises UserError naming the file that is damaged or does not fit the network.
        """
        values = Fields.read(folder / ADAPTER_CONFIGURATION)
        rank, alpha = values.whole('r'), values.whole('lora_alpha')
        for field, plain in _PLAIN.items():
            if values.values.get(field) not in plain:
                raise values.wrong(field, 'of a plain LoRA', 'merge it with its own tools')
        try:
            weights = load_file(folder / ADAPTER_WEIGHTS)
        except (OSError, SafetensorError) as error:
            raise unreadable(folder / ADAPTER_WEIGHTS, error) from error
        for key, value in weights.items():
            check_finite(folder / ADAPTER_WEIGHTS, key, value)
        weights = {name.removeprefix(_PREFIX): value for name, value in weights.items()}
        for key in [key for key in weights if key.endswith(_UNCHANGED)]:
            self._check_unchanged(key.removesuffix(_UNCHANGED), weights.pop(key), folder)
        targets = sorted({name.rsplit('.lora_', 1)[0] for name in weights})
        unknown = sorted(set(targets) - set(self._linear))
        if unknown or not targets:
            raise UserError(
                f'adapter {folder} changes {", ".join(unknown[:1]) or "nothing"}, which the '
                'network has not; use the checkpoint that it was trained on'
            )
        name = self._inject(self._free_name(), targets, rank, alpha)
        try:
            self._fill(name, weights, folder)
        except UserError:
            self.remove(name)
            raise
        return name

    def write(self, name: str, folder: Path) -> None:
        """Write an adapter into an existing folder, as peft does."""
        self._configurations[name].save_pretrained(str(folder))
        weights = {
            f'{_PREFIX}{key}': value.detach().cpu().contiguous()
            for key, value in self.weights(name).items()
        }
        with tensor_file_errors():
            save_file(weights, folder / ADAPTER_WEIGHTS, {'format': 'pt'})

    def become_learner(self, name: str) -> None:
        """Give an adapter the learner's name, and gradients; it stays in use between other uses."""
        configuration = self._configurations[name]
        targets = sorted({key.rsplit('.lora_', 1)[0] for key in self.weights(name)})
        weights = {key: value.detach().clone() for key, value in self.weights(name).items()}
        if LEARNER in self._configurations:
            self.remove(LEARNER)
        self._inject(LEARNER, targets, configuration.r, configuration.lora_alpha)
        self._fill(LEARNER, weights, Path(LEARNER))
        self.remove(name)
        self._use(LEARNER)
        for value in self.weights(LEARNER).values():
            value.requires_grad_(True)

    def remove(self, name: str) -> None:
        """Forget an adapter."""
        if self._active == name:
            self._use(None)
        with self._same_gradients():
            for layer in self._layers:
                if name in layer.lora_A:
                    # Or peft would choose another for use, and say so.
                    layer.set_adapter([])
                    layer.delete_adapter(name)
        del self._configurations[name], self._serials[name]
        self._use(self._active)

    def weights(self, name: str) -> dict[str, torch.Tensor]:
        """Return the weights of an adapter by their names in files, without the prefix."""
        mark = f'.{name}.weight'
        return {
            key.removesuffix(mark) + '.weight': value
            for key, value in self._network.named_parameters()
            if '.lora_' in key and key.endswith(mark)
        }

    def changes(self, name: str) -> Mapping[str, Callable[[], torch.Tensor]]:
        """Return what computes the change of each weight, float32, by the weight's name.

        Computed one at a time: together they are as large as a published model in float32.
        """
        scale = self._configurations[name].lora_alpha / self._configurations[name].r
        weights = self.weights(name)

        def change(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return scale * (left @ right)

        return {
            key.replace('.lora_A.', '.'): partial(change, weights[key.replace('_A.', '_B.')], value)
            for key, value in weights.items()
            if '.lora_A.' in key
        }

    @contextmanager
    def using(self, name: str | None) -> Iterator[None]:
        """Use an adapter, or none, and go back to the one before.

        A backward pass computes checkpointed activations again, with the adapter that is in use
        then: the learner's, which is why everyone else gives it back.
        """
        before = self._active
        if before == name:
            yield
            return
        self._use(name)
        try:
            yield
        finally:
            self._use(before)

    def _use(self, name: str | None) -> None:
        """Set what peft's own methods set, but for what learns: these take 25 ms at full size."""
        for layer in self._layers:
            used = name is not None and name in layer.lora_A
            layer._disable_adapters = not used
            layer._active_adapter = [name] if used else []
        self._active = name

    @contextmanager
    def _same_gradients(self) -> Iterator[None]:
        """Let peft change what is in use, but not what learns, which a learner may have frozen."""
        learning = {value for value in self._network.parameters() if value.requires_grad}
        try:
            yield
        finally:
            for value in self._network.parameters():
                value.requires_grad_(value in learning)

    def _inject(self, name: str, targets: list[str], rank: int, alpha: int) -> str:
        configuration = LoraConfig(
            r=rank,
            lora_alpha=alpha,
            lora_dropout=0.0,
            target_modules=list(targets),
            init_lora_weights='gaussian',
        )
        before = self._active
        # Those that draw already: to ask another GPU for its state would open it.
        gpus = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
        with self._same_gradients(), torch.random.fork_rng(gpus):
            torch.manual_seed(0)
            inject_adapter_in_model(configuration, self._network, name)
        # peft would take the next adapter for a change of this one.
        del self._network.peft_config
        self._layers = [m for m in self._network.modules() if isinstance(m, BaseTunerLayer)]
        for layer in self._layers:
            for part in (layer.lora_A, layer.lora_B):
                if name in part:
                    part[name] = _Projection(part[name])
            # Or peft would compute in the precision of the adapter's weights.
            layer.cast_input_dtype_enabled = False
        self._configurations[name] = configuration
        self._serials[name] = next(self._made)
        self._network.eval()
        self._use(before)
        return name

    def _check_unchanged(self, layer: str, value: torch.Tensor, folder: Path) -> None:
        """Raise UserError unless this is the network's own weight of a layer."""
        own: Any = self._network.get_submodule(layer).weight if layer in self._linear else None
        if own is None or not torch.equal(value.to(own.device, own.dtype), own):
            raise UserError(
                f'adapter {folder} was trained on another {layer} than the network has; use the '
                'checkpoint that it was trained on'
            )

    def _fill(self, name: str, weights: Mapping[str, torch.Tensor], place: Path) -> None:
        own = self.weights(name)
        wrong = [key for key in own if key not in weights or weights[key].shape != own[key].shape]
        if wrong or len(own) != len(weights):
            raise UserError(
                f'adapter {place}: {", ".join(wrong[:1]) or "a weight"} does not fit its rank; '
                'copy it again'
            )
        with torch.no_grad():
            for key, value in own.items():
                value.copy_(weights[key])


def adapted_rows(layer: Any, rows: slice) -> torch.Tensor:
    """Return float32 [rows, inputs]: these of a linear layer's weight, with the adapter in use."""
    weight: torch.Tensor = layer.weight[rows].float()
    for name in layer.active_adapters if isinstance(layer, BaseTunerLayer) else ():
        left, right = layer.lora_B[name].weight[rows], layer.lora_A[name].weight
        weight = weight + layer.scaling[name] * (left @ right)
    return weight


class _Projection(nn.Linear):
    """Half of an adapter: weights in float32, computed in the precision of what comes in.

    An optimiser's steps are too small for bfloat16, and a GPU multiplies float32 ten times slower.
    """

    def __init__(self, made: nn.Linear) -> None:
        """Take the place of one that peft made."""
        super().__init__(made.in_features, made.out_features, bias=False, device='meta')
        self.weight = nn.Parameter(made.weight.detach().float(), made.weight.requires_grad)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return functional.linear(values, self.weight.to(values.dtype))
