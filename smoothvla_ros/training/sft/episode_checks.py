"""What a demonstration must be before anything is learnt from it, whatever file it came from."""

from __future__ import annotations

from collections.abc import Sequence

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.images import is_rgb
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode


def check_images(episode: DemonstrationEpisode, cameras: Sequence[str]) -> None:
    """Raise UserError, naming the demonstration, unless each camera has RGB bytes of every step.

    Other numbers would be cast: those in [0, 1] to black, 16 bits to what is left modulo 256.
    """
    for camera in cameras:
        if camera not in episode.images:
            raise UserError(
                f'{episode.source}: no images of camera {camera!r}; it has '
                f'{", ".join(sorted(episode.images))}'
            )
        images = episode.images[camera]
        if not is_rgb(images, 4):
            raise UserError(
                f'{episode.source}: images of {camera} are {images.dtype} {list(images.shape)}, '
                'training needs uint8 [images, height, width, 3]; convert them to RGB of 0 to 255'
            )
        if len(images) != len(episode.image_steps):
            raise UserError(
                f'{episode.source}: {len(images)} images of {camera} for '
                f'{len(episode.image_steps)} steps; record it again or take it out'
            )
