"""Bring camera images to the size a policy was trained on."""

from __future__ import annotations

import numpy as np
import torch


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
