"""From a source's frame to the image that is published."""

from __future__ import annotations

import cv2
import numpy as np

from smoothvla_ros.cameras.settings import CameraSettings, Flip

_FLIP_CODES = {Flip.HORIZONTAL: 1, Flip.VERTICAL: 0, Flip.BOTH: -1}


def processed(image: np.ndarray, settings: CameraSettings) -> np.ndarray:
    """Return uint8 [height, width, 3] of the settings' size, turned; a shrunk image is averaged."""
    flip = Flip(settings.flip)
    if flip is not Flip.NONE:
        image = cv2.flip(image, _FLIP_CODES[flip])
    size = (settings.width, settings.height)
    if settings.width and size != image.shape[1::-1]:
        shrinks = settings.width < image.shape[1]
        image = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
    return np.ascontiguousarray(image)
