"""Tiny random checkpoints in OpenVLA's published layout, the same bits on every machine.

Knows nothing of this project's code: the reference data in `data/` was recorded from checkpoints
that this module wrote, see docs/openvla.md.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, processors

VOCABULARY = 32000
PADDED = 32064
EMPTY = 29871
_SHARDS = 3


@dataclass(frozen=True)
class Sizes:
    """Widths and depths; the defaults are tiny, `PUBLISHED` is what the hub has."""

    dino: int = 32
    dino_depth: int = 3
    dino_hidden: int = 64
    siglip: int = 48
    siglip_depth: int = 3
    siglip_hidden: int = 112
    llama: int = 32
    llama_depth: int = 2
    llama_hidden: int = 64
    llama_heads: int = 4


TINY = Sizes()
PUBLISHED = Sizes(1024, 24, 4096, 1152, 27, 4304, 4096, 32, 11008, 32)


def shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Return the published names of all weights with their shapes."""
    found: dict[str, tuple[int, ...]] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        found[f'{name}.weight'] = (outputs, inputs)
        found[f'{name}.bias'] = (outputs,)

    def norm(name: str, width: int) -> None:
        found[f'{name}.weight'] = found[f'{name}.bias'] = (width,)

    def trunk(name: str, width: int, depth: int, hidden: int, scaled: bool) -> None:
        found[f'{name}.pos_embed'] = (1, 256, width)
        found[f'{name}.patch_embed.proj.weight'] = (width, 3, 14, 14)
        found[f'{name}.patch_embed.proj.bias'] = (width,)
        for index in range(depth):
            block = f'{name}.blocks.{index}'
            norm(f'{block}.norm1', width)
            linear(f'{block}.attn.qkv', width, 3 * width)
            linear(f'{block}.attn.proj', width, width)
            norm(f'{block}.norm2', width)
            linear(f'{block}.mlp.fc1', width, hidden)
            linear(f'{block}.mlp.fc2', hidden, width)
            if scaled:
                found[f'{block}.ls1.scale_factor'] = (width,)
                found[f'{block}.ls2.scale_factor'] = (width,)
        norm(f'{name}.norm', width)

    dino, siglip = 'vision_backbone.featurizer', 'vision_backbone.fused_featurizer'
    trunk(dino, sizes.dino, sizes.dino_depth, sizes.dino_hidden, True)
    found[f'{dino}.cls_token'] = (1, 1, sizes.dino)
    found[f'{dino}.reg_token'] = (1, 4, sizes.dino)
    trunk(siglip, sizes.siglip, sizes.siglip_depth, sizes.siglip_hidden, False)
    found[f'{siglip}.attn_pool.latent'] = (1, 1, sizes.siglip)
    linear(f'{siglip}.attn_pool.q', sizes.siglip, sizes.siglip)
    linear(f'{siglip}.attn_pool.kv', sizes.siglip, 2 * sizes.siglip)
    linear(f'{siglip}.attn_pool.proj', sizes.siglip, sizes.siglip)
    norm(f'{siglip}.attn_pool.norm', sizes.siglip)
    linear(f'{siglip}.attn_pool.mlp.fc1', sizes.siglip, sizes.siglip_hidden)
    linear(f'{siglip}.attn_pool.mlp.fc2', sizes.siglip_hidden, sizes.siglip)
    patch = sizes.dino + sizes.siglip
    linear('projector.fc1', patch, 4 * patch)
    linear('projector.fc2', 4 * patch, sizes.llama)
    linear('projector.fc3', sizes.llama, sizes.llama)
    found['language_model.model.embed_tokens.weight'] = (PADDED, sizes.llama)
    found['language_model.lm_head.weight'] = (PADDED, sizes.llama)
    found['language_model.model.norm.weight'] = (sizes.llama,)
    for index in range(sizes.llama_depth):
        layer = f'language_model.model.layers.{index}'
        for part in 'qkvo':
            found[f'{layer}.self_attn.{part}_proj.weight'] = (sizes.llama, sizes.llama)
        found[f'{layer}.mlp.gate_proj.weight'] = (sizes.llama_hidden, sizes.llama)
        found[f'{layer}.mlp.up_proj.weight'] = (sizes.llama_hidden, sizes.llama)
        found[f'{layer}.mlp.down_proj.weight'] = (sizes.llama, sizes.llama_hidden)
        found[f'{layer}.input_layernorm.weight'] = (sizes.llama,)
        found[f'{layer}.post_attention_layernorm.weight'] = (sizes.llama,)
    return found


def head_shapes(width: int = TINY.llama, steps: int = 7) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the regression head's weights."""
    wide = width * steps
    found: dict[str, tuple[int, ...]] = {
        'model.layer_norm1.weight': (wide,),
        'model.layer_norm1.bias': (wide,),
        'model.fc1.weight': (width, wide),
        'model.fc1.bias': (width,),
        'model.layer_norm2.weight': (width,),
        'model.layer_norm2.bias': (width,),
        'model.fc2.weight': (steps, width),
        'model.fc2.bias': (steps,),
    }
    for block in range(2):
        name = f'model.mlp_resnet_blocks.{block}.ffn'
        found |= {f'{name}.0.weight': (width,), f'{name}.0.bias': (width,)}
        found |= {f'{name}.1.weight': (width, width), f'{name}.1.bias': (width,)}
    return found


def projector_shapes(width: int = TINY.llama, size: int = 8) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the proprioception projector's weights."""
    return {
        'fc1.weight': (width, size),
        'fc1.bias': (width,),
        'fc2.weight': (width, width),
        'fc2.bias': (width,),
    }


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return float64 in [-1, 1) from the raw stream of a bit generator, which never changes."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], 'big')
    raw = np.random.PCG64(seed).random_raw(math.prod(shape))
    return ((raw >> np.uint64(11)) * 2.0**-52 - 1.0).reshape(shape)


def weight(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Return one weight, of a size that keeps activations near 1.

    Rows of the output layer that are no action tokens are near zero, so that the most likely token
    of the whole vocabulary is an action, as in a trained checkpoint.
    """
    values = uniform(name, shape)
    if 'norm' in name.rsplit('.', 2)[-2] or name.endswith('ffn.0.weight'):
        values = values * 0.3 + (1.0 if name.endswith('weight') else 0.0)
    elif name.endswith('lm_head.weight'):
        action = np.zeros((shape[0], 1))
        action[VOCABULARY - 256 : VOCABULARY] = 1.5
        values = values * (action + 0.01)
    elif name.endswith('bias'):
        values = values * 0.2
    elif len(shape) == 2 and 'embed_tokens' not in name:
        values = values * math.sqrt(3.0 / shape[1]) * 1.2
    elif len(shape) == 4:
        values = values * math.sqrt(3.0 / math.prod(shape[1:])) * 1.2
    return torch.from_numpy(values.astype(np.float32))


def state(named: Mapping[str, tuple[int, ...]], prefix: str = '') -> dict[str, torch.Tensor]:
    """Return weights for names and shapes."""
    return {name: weight(prefix + name, shape) for name, shape in named.items()}


def statistics(names: tuple[str, ...] = ('libero_spatial_no_noops',)) -> dict[str, Any]:
    """Return data set statistics, made up: the gripper is not scaled, as in the published files."""
    action = {
        'q01': [-0.75, -0.66, -0.94, -0.11, -0.17, -0.19, 0.0],
        'q99': [0.94, 0.89, 0.93, 0.13, 0.18, 0.15, 1.0],
        'min': [-0.94, -0.94, -0.94, -0.26, -0.38, -0.37, 0.0],
        'max': [0.94, 0.94, 0.94, 0.36, 0.38, 0.38, 1.0],
        'mask': [True] * 6 + [False],
    }
    proprio = {
        'q01': [-0.45, -0.32, 0.91, 2.4, -1.1, -0.5, 0.0, -0.041],
        'q99': [0.14, 0.36, 1.45, 3.6, 1.2, 0.4, 0.041, -0.001],
    }
    return {name: {'action': action, 'proprio': proprio} for name in names}


def tokenizer() -> Tokenizer:
    """Return a tokeniser of Llama's kind and size with a vocabulary of our own."""
    pieces = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    pieces += [*'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?!:\n']
    merges = [('▁', letter) for letter in 'abcdefghijklmnopqrstuvwxyzIO']
    merges += [('t', 'h'), ('h', 'e'), ('i', 'n'), ('o', 'n'), ('▁t', 'he'), ('a', 'c')]
    pieces += [first + second for first, second in merges]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    vocabulary['▁'] = EMPTY
    return _byte_pairs(vocabulary, merges)


def llama_tokenizer(pieces: Mapping[str, int]) -> Tokenizer:
    """Return Llama 2's tokeniser as far as the given pieces of its vocabulary reach.

    Its ids fall in the order of its merges: a piece is merged from every two others that make it.
    """
    merges = [
        (piece[:place], piece[place:])
        for piece in sorted(pieces, key=pieces.__getitem__)
        for place in range(1, len(piece))
        if piece[:place] in pieces and piece[place:] in pieces
    ]
    special = ['<unk>', '<s>', '</s>', *(f'<0x{byte:02X}>' for byte in range(256))]
    return _byte_pairs({piece: number for number, piece in enumerate(special)} | pieces, merges)


def _byte_pairs(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Return a tokeniser of Llama's kind; ids that are not given get pieces that nobody writes."""
    used = set(vocabulary.values())
    vocabulary |= {f'¤{number}': number for number in range(VOCABULARY) if number not in used}
    made = Tokenizer(
        models.BPE(vocabulary, merges, unk_token='<unk>', byte_fallback=True, fuse_unk=True)
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend('▁'), normalizers.Replace(' ', '▁')]
    )
    made.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback()])
    special = [
        AddedToken(piece, special=True, normalized=False) for piece in ('<unk>', '<s>', '</s>')
    ]
    made.add_special_tokens([*special, AddedToken('<PAD>', special=True, normalized=False)])
    made.post_processor = processors.TemplateProcessing(
        single='<s> $A', pair='<s> $A <s> $B', special_tokens=[('<s>', 1)]
    )
    return made


def configuration(sizes: Sizes = TINY) -> dict[str, Any]:
    """Return `config.json` with the published fields."""
    return {
        'architectures': ['OpenVLAForActionPrediction'],
        'model_type': 'openvla',
        'arch_specifier': 'no-align+fused-gelu-mlp',
        'vision_backbone_id': 'dinosiglip-vit-so-224px',
        'llm_backbone_id': 'llama2-7b-pure',
        'use_fused_vision_backbone': True,
        'timm_model_ids': [
            'vit_large_patch14_reg4_dinov2.lvd142m',
            'vit_so400m_patch14_siglip_224',
        ],
        'timm_override_act_layers': [None, None],
        'image_sizes': [224, 224],
        'image_resize_strategy': 'resize-naive',
        'hf_llm_id': 'meta-llama/Llama-2-7b-hf',
        'llm_max_length': 2048,
        'n_action_bins': 256,
        'norm_stats': {},
        'output_projector_states': False,
        'pad_to_multiple_of': 64,
        'pad_token_id': 32000,
        'torch_dtype': 'bfloat16',
        'text_config': {
            'model_type': 'llama',
            'pad_token_id': 32000,
            'torch_dtype': 'bfloat16',
            'vocab_size': PADDED,
            'hidden_size': sizes.llama,
            'intermediate_size': sizes.llama_hidden,
            'num_hidden_layers': sizes.llama_depth,
            'num_attention_heads': sizes.llama_heads,
        },
    }


def write(
    folder: Path,
    *,
    heads: bool = False,
    proprioception: bool = False,
    names: tuple[str, ...] = ('libero_spatial_no_noops',),
    sizes: Sizes = TINY,
    make: Callable[[str, tuple[int, ...]], torch.Tensor] = weight,
    words: Tokenizer | None = None,
) -> Path:
    """Write a checkpoint: three shards, their index and all the small files.

    heads, proprioception: with the regression head, with the proprioception projector.
    make: the weight of a name and a shape, on the CPU.  words: None is `tokenizer`.
    """
    folder.mkdir(parents=True)
    named = shapes(sizes)
    ordered = sorted(named)
    weight_map = {}
    size = 0
    for number in range(_SHARDS):
        file = f'model-{number + 1:05d}-of-{_SHARDS:05d}.safetensors'
        part = {name: make(name, named[name]) for name in ordered[number::_SHARDS]}
        save_file(part, folder / file, {'format': 'pt'})
        weight_map |= dict.fromkeys(part, file)
        size += sum(value.nbytes for value in part.values())
    index = {'metadata': {'total_size': size}, 'weight_map': weight_map}
    _json(folder / 'model.safetensors.index.json', index)
    _json(folder / 'config.json', configuration(sizes))
    _json(folder / 'dataset_statistics.json', statistics(names))
    _json(
        folder / 'preprocessor_config.json',
        {
            'image_processor_type': 'PrismaticImageProcessor',
            'image_resize_strategy': 'resize-naive',
            'input_sizes': [[3, 224, 224], [3, 224, 224]],
            'interpolations': ['bicubic', 'bicubic'],
            'means': [[0.485, 0.456, 0.406], [0.5, 0.5, 0.5]],
            'stds': [[0.229, 0.224, 0.225], [0.5, 0.5, 0.5]],
            'use_fused_vision_backbone': True,
        },
    )
    (words or tokenizer()).save(str(folder / 'tokenizer.json'))
    if heads:
        # As trained on several GPUs: the names begin with "module.".
        _pt(folder / 'action_head--150000_checkpoint.pt', head_shapes(), 'head.')
    if proprioception:
        _pt(folder / 'proprio_projector--150000_checkpoint.pt', projector_shapes(), 'proprio.')
    return folder


def image(number: int, size: int = 224) -> np.ndarray:
    """Return a smooth uint8 image [size, size, 3]."""
    phase = uniform(f'image {number}', (3, 4)) * 3.0
    y, x = np.mgrid[0:size, 0:size] / size
    waves = [
        np.sin(6 * x + a) * np.cos(5 * y + b) + np.sin(9 * (x + y) + c) * d for a, b, c, d in phase
    ]
    return np.rint(np.clip(127 + 60 * np.stack(waves, axis=-1), 0, 255)).astype(np.uint8)


def _pt(path: Path, named: Mapping[str, tuple[int, ...]], prefix: str) -> None:
    torch.save({f'module.{name}': value for name, value in state(named, prefix).items()}, path)


def _json(path: Path, values: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2))
