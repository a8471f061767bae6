"""Shape of the small vision-language-action model."""

from __future__ import annotations

from transformers import PreTrainedConfig

from smoothvla_ros.libero import ACTION_DIMENSION, ACTION_SPACE, CAMERAS


class SmallVLAConfig(PreTrainedConfig):
    """Sizes that fix the model's parameters; `config.json` beside the weights holds them.

    cameras, image_size: the images it sees, in order, and their height and width in pixels.
    chunk, action_dimension, bins: what it answers with.
    stem_channels, stage_channels, stage_depths: the image trunk, at strides 4, 4, 8, 16, ...
    keypoints: points that each camera's encoder may look at.
    goal_dimension: size of the goal estimate (relative positions) that the decoder reads.
    mixture: Gaussian components per action.
    """

    model_type = 'smoothvla_small'

    cameras: tuple[str, ...] | list[str] = CAMERAS
    image_size: int = 128
    chunk: int = 8
    action_dimension: int = ACTION_DIMENSION
    bins: int = 256
    action_space: str = ACTION_SPACE
    proprioception_size: int = 17
    vocabulary_size: int = 2
    instruction_length: int = 24
    stem_channels: int = 32
    stage_channels: tuple[int, ...] | list[int] = (32, 64, 128)
    stage_depths: tuple[int, ...] | list[int] = (2, 2, 2)
    keypoints: int = 32
    hidden_size: int = 192
    feedforward_size: int = 768
    attention_heads: int = 6
    decoder_layers: int = 3
    goal_dimension: int = 15
    mixture: int = 3
