"""From one camera's image to a few points, each with its place in the image and its features."""

from __future__ import annotations

import torch
from torch import nn
from transformers.models.resnet.configuration_resnet import ResNetConfig
from transformers.models.resnet.modeling_resnet import ResNetConvLayer, ResNetStage

from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.policies.small_vla.row_linear import RowLinear

_PATCH = 4
# Fresh weights would look everywhere at once, and no point would move enough to be learned from.
_SHARPNESS = 4.0


class Modulation(nn.Module):
    """Scale and shift feature channels by a condition (FiLM, Perez et al. 2018)."""

    def __init__(self, condition_size: int, channels: int) -> None:
        super().__init__()
        self.project = RowLinear(condition_size, 2 * channels)

    def forward(self, features: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        """Modulate `features` [B, C, H, W] by `condition` [B, condition_size]."""
        scale, shift = self.project(condition)[:, :, None, None].chunk(2, dim=1)
        return features * (1.0 + scale) + shift


class CameraEncoder(nn.Module):
    """A slim residual network whose top is read at points, not pooled.

    The places of the points are expected coordinates under a softmax over the feature map (spatial
    softmax, Levine et al. 2016), which resolves them below the width of a feature cell: with 128
    pixels a cell is centimetres on the table, and a grasp needs one centimetre.
    """

    grid: torch.Tensor

    def __init__(self, config: SmallVLAConfig, condition_size: int) -> None:
        super().__init__()
        widths, depths = list(config.stage_channels), list(config.stage_depths)
        layers = ResNetConfig(layer_type='basic', hidden_act='relu')
        self.stem = ResNetConvLayer(3 * _PATCH**2, config.stem_channels, kernel_size=3)
        inputs = [config.stem_channels, *widths[:-1]]
        strides = [1] + [2] * (len(widths) - 1)
        self.stages = nn.ModuleList(
            ResNetStage(layers, before, width, stride=stride, depth=depth)
            for before, width, stride, depth in zip(inputs, widths, strides, depths, strict=True)
        )
        self.modulations = nn.ModuleList(Modulation(condition_size, width) for width in widths)
        read_channels = widths[-2]
        self.lateral = nn.Conv2d(widths[-1], read_channels, kernel_size=1)
        self.fuse = ResNetConvLayer(read_channels, read_channels, kernel_size=3)
        self.attend = nn.Conv2d(read_channels, config.keypoints, kernel_size=1)
        side = config.image_size // (_PATCH * 2 ** (len(widths) - 2))
        ticks = (torch.arange(side) + 0.5) / side * 2.0 - 1.0
        rows, columns = torch.meshgrid(ticks, ticks, indexing='ij')
        self.register_buffer('grid', torch.stack([columns, rows], dim=-1).reshape(-1, 2))

    def forward(
        self, images: torch.Tensor, condition: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode uint8 `images` [B, H, W, 3] under `condition` [B, condition_size].

        Returns coordinates float32 [B, keypoints, 2] (x right, y down, in [-1, 1]) and features
        [B, keypoints, read_channels].
        """
        maps = self.stem(_patches(images, condition.dtype))
        for stage, modulation in zip(self.stages, self.modulations, strict=True):
            finer, maps = maps, modulation(stage(maps), condition)
        top = nn.functional.interpolate(self.lateral(maps), scale_factor=2.0, mode='nearest')
        maps = self.fuse(finer + top)
        scores = _SHARPNESS * self.attend(maps).flatten(2).float()
        weights = torch.softmax(scores, dim=-1)
        with torch.autocast(images.device.type, enabled=False):
            coordinates = weights @ self.grid
        features = weights.to(maps.dtype) @ maps.flatten(2).transpose(1, 2)
        return coordinates, features


def _patches(images: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Fold each 4 x 4 patch of uint8 [B, H, W, 3] into channels: [B, 48, H / 4, W / 4] in [-1, 1].

    The result is channels-last in memory, which the convolutions of a CPU prefer, and is made by
    one copy of bytes.
    """
    batch, height, width, channels = images.shape
    folded = images.reshape(batch, height // _PATCH, _PATCH, width // _PATCH, _PATCH, channels)
    folded = folded.permute(0, 1, 3, 2, 4, 5).reshape(
        batch, height // _PATCH, width // _PATCH, _PATCH * _PATCH * channels
    )
    return folded.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1.0
