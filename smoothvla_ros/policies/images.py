"""Bring camera images to the size a policy was trained on."""

from __future__ import annotations

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Observation


def fit_images(images: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 [n, size, size, 3] from uint8 [n, H, W, 3], by area interpolation.

    Images that already have the size are returned as they are. A camera whose image is not square
    is cut to its central square first, because stretching would move what the policy looks at.
    """
    height, width = images.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    images = images[:, top : top + side, left : left + side]
    if side == size:
        return images
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
    fitted = torch.nn.functional.interpolate(pixels, size=(size, size), mode='area')
    return fitted.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def is_rgb(images: np.ndarray, dimensions: int) -> bool:
    """Return whether these are RGB bytes: uint8 [..., height, width, 3] of so many dimensions."""
    if images.dtype != np.uint8 or images.ndim != dimensions:
        return False
    height, width, channels = images.shape[-3:]
    return channels == 3 and height > 0 and width > 0


def camera_image(observation: Observation, camera: str, remedy: str) -> np.ndarray:
    """Return what a camera sees, uint8 [height, width, 3].

    Raises UserError, with `remedy`, if it is missing, and for anything but an RGB image.
    """
    image = observation.images.get(camera)
    if image is None:
        given = ', '.join(sorted(observation.images)) or 'none'
        raise UserError(f'observation: no image of camera {camera!r} (given: {given}); {remedy}')
    image = np.asarray(image)
    if not is_rgb(image, 3):
        raise UserError(
            f'observation: image of {camera} is {image.dtype} {list(image.shape)}, the '
            'policy needs uint8 [height, width, 3]'
        )
    return image
