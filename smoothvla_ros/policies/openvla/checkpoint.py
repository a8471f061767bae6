"""A folder in the published OpenVLA format: what is in it, checked before anything is built."""

from __future__ import annotations

import pickle  # noqa: TID251 (the name of an error, nothing is unpickled)
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.configuration_file import CONFIGURATION
from smoothvla_ros.policies.openvla.json_fields import Fields, is_numbers, unreadable
from smoothvla_ros.policies.openvla.language_settings import language_settings
from smoothvla_ros.policies.openvla.settings import (
    INDEX,
    PREPROCESSOR,
    STATISTICS,
    TOKENIZER,
)
from smoothvla_ros.policies.openvla.vision import VisionShape
from smoothvla_ros.policies.tensor_files import check_finite

_SINGLE = 'model.safetensors'
_LFS = b'version https://git-lfs'

# timm's names of the two vision transformers: what the weights themselves cannot tell.
_HEADS = {'vit_large_patch14_reg4_dinov2.lvd142m': 16, 'vit_so400m_patch14_siglip_224': 16}
_LARGEST_IMAGE = 4096
_BACKBONE = 'dinosiglip-vit-so-224px'


class PublishedCheckpoint:
    """Configuration, statistics and weights of one folder; nothing large is read until asked."""

    def __init__(self, folder: Path) -> None:
        """Check that the folder is whole and of a kind that can be run.

        Raises UserError with one line that names the file and what to do.
        """
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UserError(f'checkpoint {folder} is not a folder; give the published files')
        self.config = self._json(CONFIGURATION)
        self._check_kind()
        self.llama = language_settings(self.config)
        self._file(TOKENIZER)
        self._shards = self._find_shards()

    def _check_kind(self) -> None:
        kind = self.config.values.get('model_type')
        if kind != 'openvla':
            raise UserError(
                f"{self.folder / CONFIGURATION}: model_type={kind!r} is not 'openvla'; give a "
                'checkpoint of OpenVLA or OpenVLA-OFT'
            )
        self.config.only('vision_backbone_id', _BACKBONE)
        self.config.only('use_fused_vision_backbone', True)
        self.config.only('image_resize_strategy', 'resize-naive')

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the tokeniser; the embedding is padded beyond them."""
        size = int(self.llama['vocab_size'])
        padding = self.config.whole('pad_to_multiple_of', 64, minimum=0)
        if padding >= size:
            raise self.config.wrong('pad_to_multiple_of', f'below text_config.vocab_size={size}')
        return size - padding

    @property
    def bins(self) -> int:
        """Action tokens, at the end of the vocabulary; as many as the published code reads."""
        bins = self.config.whole('n_action_bins', 256, minimum=2)
        if bins > self.vocabulary_size:
            raise self.config.wrong('n_action_bins', f'at most {self.vocabulary_size}, all tokens')
        return bins

    @cached_property
    def statistics(self) -> Fields:
        """Statistics by data set: those beside the weights, else those in the configuration."""
        if (self.folder / STATISTICS).is_file():
            return self._json(STATISTICS)
        return self.config.inner('norm_stats', optional=True)

    @property
    def normalisation(self) -> tuple[tuple[list[float], list[float]], ...]:
        """Mean and deviation of the three colours, for DINOv2 and for SigLIP."""
        values = self._json(PREPROCESSOR)
        means, deviations = values.items('means', list, 2), values.items('stds', list, 2)
        if not all(is_numbers(mean, 3) for mean in means):
            raise values.wrong('means', 'two lists of 3 finite numbers')
        if not all(is_numbers(each, 3) and min(each) > 0 for each in deviations):
            raise values.wrong('stds', 'two lists of 3 finite numbers above 0')
        return tuple(zip(means, deviations, strict=True))

    def vision_shapes(self) -> tuple[VisionShape, VisionShape]:
        """Return the sizes of both vision transformers, which the weights' own shapes tell."""
        shapes = self.shapes
        sizes = self.config.items('image_sizes', int, 2, [224, 224])
        if sizes[0] != sizes[1] or not 1 <= sizes[0] <= _LARGEST_IMAGE:
            raise self.config.wrong('image_sizes', f'twice one size up to {_LARGEST_IMAGE} pixels')
        names = self.config.items('timm_model_ids', str, 2, list(_HEADS))
        if names != list(_HEADS):
            raise self.config.wrong('timm_model_ids', f'the supported {", ".join(_HEADS)}')
        found = []
        for part, size, name in zip(('featurizer', 'fused_featurizer'), sizes, names, strict=True):
            prefix = f'vision_backbone.{part}.'
            width, _, _, patch = self._shape(f'{prefix}patch_embed.proj.weight', 4)
            hidden, _ = self._shape(f'{prefix}blocks.0.mlp.fc1.weight', 2)
            blocks = {
                key[len(prefix) :].split('.')[1] for key in shapes if f'{prefix}blocks.' in key
            }
            registers = 0
            if f'{prefix}reg_token' in shapes:
                _, registers, _ = self._shape(f'{prefix}reg_token', 3)
            found.append(
                VisionShape(width, len(blocks), _HEADS[name], hidden, registers, size, patch)
            )
        return found[0], found[1]

    def _shape(self, name: str, dimensions: int) -> list[int]:
        shape = self.shapes.get(name)
        if shape is None or len(shape) != dimensions or 0 in shape:
            what = 'have no' if shape is None else f'have {shape} for'
            raise UserError(
                f'checkpoint {self.folder}: the weights {what} {name}; this is not the published '
                'layout'
            )
        return shape

    @cached_property
    def shapes(self) -> Mapping[str, list[int]]:
        """Shape of every tensor, read from the headers of the shards."""
        shapes: dict[str, list[int]] = {}
        for path, names in self._shards.items():
            with _opened(path) as file:
                held = set(file.keys())
                lacking = sorted(names - held)
                # A folder with one file of weights has no index.
                extra = sorted(name for name in held - names if names and not _is_computed(name))
                if lacking:
                    raise UserError(
                        f'{path} has no {lacking[0]}, though the index says so; download it again'
                    )
                if extra:
                    raise UserError(
                        f'{self.folder / INDEX}: weight_map does not put {extra[0]} into '
                        f'{path.name}, which has it; download both again'
                    )
                shapes |= {name: file.get_slice(name).get_shape() for name in held}
        return shapes

    def tensors(
        self, device: torch.device, dtype: torch.dtype
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every weight, copied out of its file to where and what it shall be.

        Raises UserError naming the first with a value that is not finite, see `check_finite`.
        """
        for path in self._shards:
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118
                    if not _is_computed(name):
                        value = file.get_tensor(name).to(device, dtype, copy=True)
                        check_finite(path, name, value)
                        yield name, value

    def component(self, name: str) -> dict[str, torch.Tensor] | None:
        """Return the weights of a network beside the model, or None where there is none.

        They are published as ``<name>--<step>_checkpoint.pt``, and written by this project as
        ``<name>.safetensors``.  Raises UserError if there are several, or one cannot be read,
        holds anything but named tensors, or values that are not finite.
        """
        own = self.folder / f'{name}.safetensors'
        if own.is_file():
            try:
                return _checked(own, load_file(own))
            except (OSError, SafetensorError) as error:
                raise unreadable(own, error) from error
        found = sorted(self.folder.glob(f'{name}--*checkpoint.pt'))
        if not found:
            return None
        if len(found) > 1:
            raise UserError(
                f'checkpoint {self.folder} holds {len(found)} files {name}--*; leave the one that '
                'belongs to the weights'
            )
        try:
            # Restricted to tensors: `weights_only` runs no code of the file.
            state = torch.load(found[0], map_location='cpu', weights_only=True)  # noqa: TID251
        except (
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            KeyError,
            pickle.UnpicklingError,
        ) as error:
            raise unreadable(found[0], error) from error
        return _checked(found[0], state)

    def _find_shards(self) -> dict[Path, set[str]]:
        """Return the weight files with the tensors that the index expects in each."""
        if not (self.folder / INDEX).is_file():
            if not (self.folder / _SINGLE).is_file():
                raise UserError(
                    f'checkpoint {self.folder} has neither {INDEX} nor {_SINGLE}; the download is '
                    'incomplete or this is another format'
                )
            return {self._file(_SINGLE): set()}
        fields = self._json(INDEX)
        weight_map = fields.inner('weight_map')
        index: dict[str, str] = {name: weight_map.text(name) for name in weight_map.values}
        if not index:
            raise fields.wrong('weight_map', 'a list of tensors')
        for tensor, name in index.items():
            # A path could lead out of the folder, to what was never downloaded with it.
            if name != Path(name).name or '\0' in name:
                raise weight_map.wrong(tensor, 'the name of a file in this folder')
        shards: dict[Path, set[str]] = {}
        missing = sorted({name for name in index.values() if not (self.folder / name).is_file()})
        if missing:
            raise UserError(
                f'checkpoint {self.folder}: {missing[0]} is missing ({len(missing)} of '
                f'{len(set(index.values()))} weight files); finish the download'
            )
        for tensor, name in index.items():
            shards.setdefault(self.folder / name, set()).add(tensor)
        return dict(sorted(shards.items()))

    def _file(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_file():
            raise UserError(f'checkpoint {self.folder}: {name} is missing; finish the download')
        return path

    def _json(self, name: str) -> Fields:
        return Fields.read(self._file(name))


def _is_computed(name: str) -> bool:
    """Say whether a tensor follows from the settings: older tools wrote these, newer do not."""
    return name.endswith('rotary_emb.inv_freq')


def _checked(path: Path, state: Any) -> dict[str, torch.Tensor]:
    """Return named tensors without the mark of training on several GPUs."""
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise UserError(f'{path} does not hold tensors by their names; download it again')
    for name, value in state.items():
        check_finite(path, name, value)
    return {name.removeprefix('module.'): value for name, value in state.items()}


def _opened(path: Path) -> Any:
    """Open a file of weights, or say in one line why that cannot be."""
    try:
        with path.open('rb') as file:
            if file.read(len(_LFS)) == _LFS:
                raise UserError(
                    f'{path} is only a pointer to the weights; fetch them with `git lfs pull`'
                )
        return safe_open(path, framework='pt', device='cpu')
    except (OSError, SafetensorError) as error:
        raise unreadable(path, error) from error
