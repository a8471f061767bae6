"""Settings of supervised fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError

# When the image of a row was taken, where the file itself does not tell.
UNKNOWN = 'unknown'
BEFORE = 'before'
AFTER = 'after'


@dataclass(frozen=True)
class SFTConfig:
    """How long and how to train; the first to be over of `steps` and `minutes` ends it."""

    steps: int = setting(0, 'optimiser steps at most; 0: until the minutes are over', minimum=0)
    minutes: float = setting(0.0, 'wall-clock minutes at most; 0: until the steps end', minimum=0)
    seed: int = setting(0, 'of initial weights, order of the data and augmentation', minimum=0)
    batch_size: int = setting(64, 'rows an optimiser step', minimum=1)
    learning_rate: float = setting(1e-3, 'after the warm-up; falls to zero as a cosine', minimum=0)
    warmup_steps: int = setting(100, 'steps of linear warm-up', minimum=0)
    weight_decay: float = setting(0.05, 'of AdamW, on matrices and convolutions', minimum=0)
    gradient_norm: float = setting(1.0, 'gradients are scaled down to this norm', minimum=1e-6)
    average_decay: float = setting(0.998, 'of the saved average of weights', minimum=0, maximum=1)
    smoothing_bins: float = setting(2.0, 'spread of the target, in bins', minimum=0.1)
    goal_weight: float = setting(1.0, 'of the goal loss beside the action loss', minimum=0)
    shift_pixels: int = setting(1, 'largest random shift of an image', minimum=0)
    brightness: float = setting(0.15, 'largest relative change of brightness', minimum=0, maximum=1)
    tint: float = setting(0.05, 'largest relative change of one colour', minimum=0, maximum=1)
    position_noise_m: float = setting(0.003, 'noise on the tool position, m', minimum=0)
    rotation_noise: float = setting(0.01, 'noise on the columns of the tool rotation', minimum=0)
    finger_noise_m: float = setting(0.0005, 'noise on the finger positions, m', minimum=0)
    twist_noise: float = setting(0.3, 'relative noise on the tool twist', minimum=0)
    word_dropout: float = setting(0.05, 'share of words made unknown', minimum=0, maximum=1)
    held_out_share: float = setting(
        0.03,
        'share of episodes to validate on, at least one of two or more; 0: none',
        minimum=0,
        maximum=0.5,
    )
    image_stride: int = setting(4, 'of data sets with an image every step, every n-th', minimum=1)
    image_moment: str = setting(
        UNKNOWN,
        "of HDF5 files without 'states': images and joints are of before or after their row's "
        'action; one of unknown (refuses them), before, after',
        choices=(UNKNOWN, BEFORE, AFTER),
    )
    checkpoint_minutes: float = setting(5.0, 'wall-clock minutes between checkpoints', minimum=0)
    threads: int = setting(0, 'CPU threads; 0: all', minimum=0)
    bfloat16: bool = setting(True, 'compute in bfloat16; weights and loss stay float32')

    def __post_init__(self) -> None:
        validate(self, 'sft')
        if self.steps == 0 and self.minutes == 0.0:
            raise UserError(
                'sft: steps=0 and minutes=0 train nothing; raise steps (the shipped policy: 4200) '
                'or minutes'
            )
