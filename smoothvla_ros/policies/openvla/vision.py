"""The two vision transformers of OpenVLA, with the parameter names of the published files.

The checkpoints were trained with timm's vision transformers and carry timm's names, fused
query-key-value projections included. Modules of the same names load them with no map that could be
wrong, save them back unchanged, and take the adapters that others trained on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

_EPSILON = 1e-6


@dataclass(frozen=True)
class VisionShape:
    """Sizes of one vision transformer.

    width, depth, heads, hidden: of its blocks.  image_size, patch: pixels.
    registers: whether it has a class token and register tokens, and scaled residuals (DINOv2); else
    it has none of these and an attention pool, which OpenVLA does not use (SigLIP).
    """

    width: int
    depth: int
    heads: int
    hidden: int
    registers: int
    image_size: int = 224
    patch: int = 14

    @property
    def patches(self) -> int:
        """Number of patches of an image."""
        return (self.image_size // self.patch) ** 2

    @property
    def tokens(self) -> int:
        """Number of tokens in its blocks: patches, class and registers."""
        return self.patches + (1 + self.registers if self.registers else 0)


class VisionTransformer(nn.Module):
    """Images to patch features, read after the block before the last, without the final norm."""

    def __init__(self, shape: VisionShape) -> None:
        """Build the whole network: what is not run keeps its place in the published file."""
        super().__init__()
        width = shape.width
        self.shape = shape
        self.gradient_checkpointing = False
        if shape.registers:
            self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
            self.reg_token = nn.Parameter(torch.zeros(1, shape.registers, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, shape.patches, width))
        self.patch_embed = nn.ModuleDict(
            {'proj': nn.Conv2d(3, width, kernel_size=shape.patch, stride=shape.patch)}
        )
        self.blocks = nn.ModuleList([_Block(shape) for _ in range(shape.depth)])
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        if not shape.registers:
            self.attn_pool = _AttentionPool(shape)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [B, patches, width] for normalised images [B, 3, image_size, image_size]."""
        tokens = self.patch_embed['proj'](pixels).flatten(2).transpose(1, 2)
        tokens = tokens + self.pos_embed
        prefix = 0
        if self.shape.registers:
            count = len(tokens)
            extra = [self.cls_token.expand(count, -1, -1), self.reg_token.expand(count, -1, -1)]
            tokens = torch.cat([*extra, tokens], dim=1)
            prefix = 1 + self.shape.registers
        for block in self.blocks[:-1]:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(block, tokens, use_reentrant=False)
            else:
                tokens = block(tokens)
        return tokens[:, prefix:]


class _Block(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(shape.width, eps=_EPSILON)
        self.attn = _Attention(shape)
        self.ls1 = _Scale(shape.width) if shape.registers else nn.Identity()
        self.norm2 = nn.LayerNorm(shape.width, eps=_EPSILON)
        self.mlp = _FeedForward(shape)
        self.ls2 = _Scale(shape.width) if shape.registers else nn.Identity()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.ls1(self.attn(self.norm1(tokens)))
        return tokens + self.ls2(self.mlp(self.norm2(tokens)))


class _Attention(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, length, width = tokens.shape
        split = self.qkv(tokens).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.proj(attended.transpose(1, 2).reshape(batch, length, width))


class _FeedForward(nn.Module):
    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.fc1 = nn.Linear(shape.width, shape.hidden)
        self.fc2 = nn.Linear(shape.hidden, shape.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(tokens)))


class _Scale(nn.Module):
    """LayerScale. timm calls its parameter gamma; the published files say scale_factor."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale_factor = nn.Parameter(torch.ones(width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens * self.scale_factor


class _AttentionPool(nn.Module):
    """SigLIP's pooling head: never run, kept so that a checkpoint loads and saves whole."""

    def __init__(self, shape: VisionShape) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.q = nn.Linear(shape.width, shape.width)
        self.kv = nn.Linear(shape.width, 2 * shape.width)
        self.proj = nn.Linear(shape.width, shape.width)
        self.norm = nn.LayerNorm(shape.width, eps=_EPSILON)
        self.mlp = _FeedForward(shape)


class VisionBackbone(nn.Module):
    """DINOv2 and SigLIP side by side: their features of one patch are concatenated."""

    def __init__(self, featurizer: VisionShape, fused_featurizer: VisionShape) -> None:
        """featurizer: DINOv2.  fused_featurizer: SigLIP.  Names of the published files."""
        super().__init__()
        if featurizer.patches != fused_featurizer.patches:
            raise ValueError('the two vision transformers cut an image into other patches')
        self.shapes = (featurizer, fused_featurizer)
        self.featurizer = VisionTransformer(featurizer)
        self.fused_featurizer = VisionTransformer(fused_featurizer)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return [B, images * patches, width + width] for [B, images, 6, size, size].

        The first three channels of an image are normalised for DINOv2, the others for SigLIP.
        """
        batch, images = pixels.shape[:2]
        flat = pixels.flatten(0, 1)
        features = torch.cat(
            [self.featurizer(flat[:, :3]), self.fused_featurizer(flat[:, 3:])], dim=-1
        )
        return features.unflatten(0, (batch, images)).flatten(1, 2)
