"""A folder in the published OpenVLA format: what is in it, checked before anything is built."""

from __future__ import annotations

import json
import pickle  # noqa: TID251 (the name of an error, nothing is unpickled)
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.openvla.settings import CONFIGURATION
from smoothvla_ros.policies.openvla.vision import VisionShape

TOKENIZER = 'tokenizer.json'
STATISTICS = 'dataset_statistics.json'
_PREPROCESSOR = 'preprocessor_config.json'
_INDEX = 'model.safetensors.index.json'
_SINGLE = 'model.safetensors'
_LFS = b'version https://git-lfs'

# timm's names of the two vision transformers: what the weights themselves cannot tell.
_HEADS = {'vit_large_patch14_reg4_dinov2.lvd142m': 16, 'vit_so400m_patch14_siglip_224': 16}
_BACKBONE = 'dinosiglip-vit-so-224px'

# Llama's configuration is published as differences from the defaults of transformers 4.40.
_LLAMA_DEFAULTS: dict[str, Any] = {
    'hidden_size': 4096,
    'intermediate_size': 11008,
    'num_hidden_layers': 32,
    'num_attention_heads': 32,
    'max_position_embeddings': 2048,
    'rms_norm_eps': 1e-6,
    'hidden_act': 'silu',
    'rope_theta': 10000.0,
    'attention_bias': False,
    'tie_word_embeddings': False,
    'bos_token_id': 1,
    'eos_token_id': 2,
}


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
        self._file(TOKENIZER)
        self._shards = self._find_shards()

    def _check_kind(self) -> None:
        kind = self.config.get('model_type')
        backbone = self.config.get('vision_backbone_id')
        if kind != 'openvla':
            raise UserError(
                f"{self.folder / CONFIGURATION}: model_type={kind!r} is not 'openvla'; give a "
                'checkpoint of OpenVLA or OpenVLA-OFT'
            )
        if backbone != _BACKBONE or not self.config.get('use_fused_vision_backbone'):
            raise UserError(
                f'{self.folder / CONFIGURATION}: vision_backbone_id={backbone!r} is not supported; '
                f'give a checkpoint with {_BACKBONE}'
            )
        if self.config.get('image_resize_strategy') != 'resize-naive':
            raise UserError(
                f"{self.folder / CONFIGURATION}: only image_resize_strategy='resize-naive' is "
                f'supported, not {self.config.get("image_resize_strategy")!r}'
            )

    @property
    def llama(self) -> dict[str, Any]:
        """Settings of the language model, every one that matters spelt out."""
        text = self.config.get('text_config') or {}
        if text.get('model_type', 'llama') != 'llama':
            raise UserError(
                f'{self.folder / CONFIGURATION}: text_config.model_type='
                f"{text['model_type']!r} is not supported; OpenVLA's is 'llama'"
            )
        kept = {key: value for key, value in text.items() if key not in ('torch_dtype', 'dtype')}
        return {'vocab_size': 32064, 'pad_token_id': 32000, **_LLAMA_DEFAULTS, **kept}

    @property
    def vocabulary_size(self) -> int:
        """Tokens of the tokeniser; the embedding is padded beyond them."""
        return int(self.llama['vocab_size']) - int(self.config.get('pad_to_multiple_of', 64))

    @property
    def bins(self) -> int:
        """Action tokens, at the end of the vocabulary."""
        return int(self.config.get('n_action_bins', 256))

    @cached_property
    def statistics(self) -> Mapping[str, Any]:
        """Statistics by data set: those beside the weights, else those in the configuration."""
        if (self.folder / STATISTICS).is_file():
            return self._json(STATISTICS)
        return self.config.get('norm_stats') or {}

    @property
    def normalisation(self) -> tuple[tuple[list[float], list[float]], ...]:
        """Mean and deviation of the colours, for DINOv2 and for SigLIP."""
        values = self._json(_PREPROCESSOR)
        try:
            pairs = tuple(zip(values['means'], values['stds'], strict=True))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f'{self.folder / _PREPROCESSOR} has no means and stds; copy it again'
            ) from error
        if len(pairs) != 2:
            raise UserError(f'{self.folder / _PREPROCESSOR}: expected two means; copy it again')
        return pairs

    def vision_shapes(self) -> tuple[VisionShape, VisionShape]:
        """Return the sizes of both vision transformers, which the weights' own shapes tell."""
        shapes = self.shapes
        sizes = self.config.get('image_sizes') or [224, 224]
        names = self.config.get('timm_model_ids') or list(_HEADS)
        found = []
        for part, size, name in zip(('featurizer', 'fused_featurizer'), sizes, names, strict=True):
            prefix = f'vision_backbone.{part}.'
            if name not in _HEADS:
                raise UserError(
                    f'{self.folder / CONFIGURATION}: timm_model_ids names {name!r}; known are '
                    f'{", ".join(_HEADS)}'
                )
            try:
                patch = shapes[f'{prefix}patch_embed.proj.weight']
                hidden = shapes[f'{prefix}blocks.0.mlp.fc1.weight'][0]
            except KeyError as error:
                raise UserError(
                    f'checkpoint {self.folder}: the weights have no {error.args[0]}; this is not '
                    'the published layout'
                ) from error
            blocks = {
                key[len(prefix) :].split('.')[1] for key in shapes if f'{prefix}blocks.' in key
            }
            registers = shapes.get(f'{prefix}reg_token', [1, 0, 0])[1]
            found.append(
                VisionShape(patch[0], len(blocks), _HEADS[name], hidden, registers, size, patch[2])
            )
        return found[0], found[1]

    @cached_property
    def shapes(self) -> Mapping[str, list[int]]:
        """Shape of every tensor, read from the headers of the shards."""
        shapes: dict[str, list[int]] = {}
        for path, names in self._shards.items():
            with _opened(path) as file:
                held = set(file.keys())
                lacking = sorted(names - held)
                if lacking:
                    raise UserError(
                        f'{path} has no {lacking[0]}, though the index says so; download it again'
                    )
                shapes |= {name: file.get_slice(name).get_shape() for name in held}
        return shapes

    def tensors(
        self, device: torch.device, dtype: torch.dtype
    ) -> Iterator[tuple[str, torch.Tensor]]:
        """Yield every weight, copied out of its file to where and what it shall be."""
        for path in self._shards:
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118
                    if not name.endswith('rotary_emb.inv_freq'):
                        yield name, file.get_tensor(name).to(device, dtype, copy=True)

    def component(self, name: str) -> dict[str, torch.Tensor] | None:
        """Return the weights of a network beside the model, or None where there is none.

        They are published as ``<name>--<step>_checkpoint.pt``, and written by this project as
        ``<name>.safetensors``.  Raises UserError if there are several, or one cannot be read.
        """
        own = self.folder / f'{name}.safetensors'
        if own.is_file():
            try:
                return load_file(own)
            except (OSError, SafetensorError) as error:
                raise _unreadable(own, error) from error
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
            raise _unreadable(found[0], error) from error
        return {key.removeprefix('module.'): value for key, value in state.items()}

    def _find_shards(self) -> dict[Path, set[str]]:
        """Return the weight files with the tensors that the index expects in each."""
        if not (self.folder / _INDEX).is_file():
            if not (self.folder / _SINGLE).is_file():
                raise UserError(
                    f'checkpoint {self.folder} has neither {_INDEX} nor {_SINGLE}; the download is '
                    'incomplete or this is another format'
                )
            return {self._file(_SINGLE): set()}
        index = self._json(_INDEX).get('weight_map')
        if not isinstance(index, dict) or not index:
            raise UserError(f'{self.folder / _INDEX} has no weight_map; download it again')
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

    def _json(self, name: str) -> dict[str, Any]:
        path = self._file(name)
        try:
            values = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise _unreadable(path, error) from error
        if not isinstance(values, dict):
            raise UserError(f'{path} is not an object; download it again')
        return values


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
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UserError:
    line = ' '.join(str(error).split())[:200]
    return UserError(f'{path} is damaged or incomplete ({line}); download it again')
