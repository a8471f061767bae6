"""Random changes of a training batch that leave its right answer right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from smoothvla_ros.policies.instructions import PADDING, UNKNOWN
from smoothvla_ros.policies.proprioception import (
    FINGER_POSITIONS,
    TOOL_POSITION,
    TOOL_ROTATION,
    TOOL_TWIST,
)
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.frames import FrameBatch


def augment(batch: FrameBatch, config: SFTConfig, rng: np.random.Generator) -> FrameBatch:
    """Shift, light and tint the images, and add noise to the body.

    Noise on the body makes the policy look at the images: from clean joints alone it could copy
    its own motion (de Haan et al. 2019, "Causal Confusion in Imitation Learning").
    """
    images = _light(_shift(batch.images, config.shift_pixels, rng), config, rng)
    scale = np.zeros(batch.body.shape[1], np.float32)
    scale[TOOL_POSITION] = config.position_noise_m
    scale[TOOL_ROTATION] = config.rotation_noise
    scale[FINGER_POSITIONS] = config.finger_noise_m
    noise = rng.standard_normal(batch.body.shape, dtype=np.float32) * scale
    rows = len(batch.body)
    # A common factor keeps the direction of motion; without any motion there is nothing to copy.
    factor = 1.0 + config.twist_noise * rng.standard_normal((rows, 1), dtype=np.float32)
    body = batch.body + torch.from_numpy(noise)
    body[:, TOOL_TWIST] *= torch.from_numpy(factor)
    return replace(batch, images=images, body=body)


def drop_words(words: np.ndarray, probability: float, rng: np.random.Generator) -> np.ndarray:
    """Replace words by the unknown word now and then, so that unseen words are nothing new."""
    dropped = (rng.random(words.shape) < probability) & (words != PADDING)
    return np.where(dropped, UNKNOWN, words)


def _shift(images: torch.Tensor, pixels: int, rng: np.random.Generator) -> torch.Tensor:
    if pixels == 0:
        return images
    rows, cameras, height, width, _ = images.shape
    flat = images.reshape(rows * cameras, height, width, 3)
    offsets = rng.integers(-pixels, pixels + 1, (len(flat), 2))
    y = (np.arange(height) + offsets[:, :1]).clip(0, height - 1)
    x = (np.arange(width) + offsets[:, 1:]).clip(0, width - 1)
    shifted = flat.numpy()[np.arange(len(flat))[:, None, None], y[:, :, None], x[:, None, :]]
    return torch.from_numpy(shifted).reshape(images.shape)


def _light(images: torch.Tensor, config: SFTConfig, rng: np.random.Generator) -> torch.Tensor:
    if config.brightness == 0.0 and config.tint == 0.0:
        return images
    rows, cameras = images.shape[:2]
    gain = 1.0 + config.brightness * rng.uniform(-1, 1, (rows, cameras, 1, 1, 1))
    gain = gain * (1.0 + config.tint * rng.uniform(-1, 1, (rows, cameras, 1, 1, 3)))
    bias = 127.5 * config.brightness * rng.uniform(-1, 1, (rows, cameras, 1, 1, 1))
    lit = images.float() * torch.from_numpy(gain.astype(np.float32))
    lit += torch.from_numpy(bias.astype(np.float32))
    return lit.clamp_(0, 255).to(torch.uint8)
