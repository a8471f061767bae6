"""Images as OpenVLA was trained on: JPEG, Lanczos to 224 pixels, the central 90%, normalised.

The published pipeline runs on TensorFlow. Resampling here is two matrix products a channel with
TensorFlow's weights; Pillow's own Lanczos rounds between its two passes and is another function.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import simplejpeg
import torch
from PIL import Image
from scipy.sparse import csr_array

_CROP_AREA = 0.9
_JPEG_QUALITY = 95


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 [size, size, 3]: through JPEG, then `lanczos`, as the training data was made.

    Pillow writes the very bytes that TensorFlow writes, but TensorFlow reads with the coarser of
    libjpeg's inverse transforms, which Pillow does not offer.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=_JPEG_QUALITY)
    return lanczos(simplejpeg.decode_jpeg(buffer.getvalue(), fastdct=True), size)


def lanczos(image: np.ndarray, size: int) -> np.ndarray:
    """Return uint8 [size, size, 3] from uint8 [H, W, 3], by Lanczos with antialiasing.

    An image that is not square is stretched, as in the training data.
    """
    rows, columns = _weights(image.shape[0], size), _weights(image.shape[1], size)
    resized = _resample(image.astype(np.float32), rows, columns)
    return np.clip(np.rint(resized), 0, 255).astype(np.uint8)


def center_crop(image: np.ndarray) -> np.ndarray:
    """Return uint8 of the same shape: the central 90% of the area, stretched back, bilinear."""
    weights = _crop(len(image))
    cut = _resample(image.astype(np.float32) * np.float32(1.0 / 255.0), weights, weights)
    return np.minimum(np.clip(cut, 0.0, 1.0) * np.float32(255.5), 255).astype(np.uint8)


def normalise(
    images: torch.Tensor, normalisation: Sequence[tuple[Sequence[float], Sequence[float]]]
) -> torch.Tensor:
    """Return float32 [..., 3 * n, H, W] for uint8 [..., H, W, 3], wherever the images are.

    Each is there once for each of n pairs of mean and deviation.
    """
    pixels = images.movedim(-1, -3).float() / 255.0
    views = []
    for pair in normalisation:
        mean, deviation = (pixels.new_tensor(values).view(3, 1, 1) for values in pair)
        views.append((pixels - mean) / deviation)
    return torch.cat(views, dim=-3)


def _resample(image: np.ndarray, rows: csr_array, columns: csr_array) -> np.ndarray:
    """Apply [size, H] to the rows and [size, W] to the columns of [H, W, 3]."""
    height, width, colours = image.shape
    # A few weights a row: as dense products these would start all of a BLAS's threads.
    high = (rows @ image.reshape(height, -1)).reshape(-1, width, colours)
    wide = columns @ high.transpose(1, 0, 2).reshape(width, -1)
    return wide.reshape(columns.shape[0], -1, colours).transpose(1, 0, 2)


@lru_cache(maxsize=8)
def _weights(length: int, size: int) -> csr_array:
    """Return float32 [size, length], a row of weights a pixel that sum to 1.

    Lanczos of radius 3 at half-pixel centres, widened by the scale when shrinking.
    """
    scale = length / size
    widening = max(scale, 1.0)
    centres = (np.arange(size, dtype=np.float64) + 0.5) * scale
    distance = (np.arange(length) + 0.5 - centres[:, None]) / widening
    weights = np.where(np.abs(distance) < 3.0, np.sinc(distance) * np.sinc(distance / 3.0), 0.0)
    return csr_array((weights / weights.sum(axis=1, keepdims=True)).astype(np.float32))


@lru_cache(maxsize=8)
def _crop(length: int) -> csr_array:
    """Return float32 [length, length]: bilinear samples of the central part, ends included."""
    share = np.sqrt(np.float32(_CROP_AREA))
    low = (np.float32(1.0) - share) / np.float32(2.0)
    first, step = low * (length - 1), share * np.float32(1.0)
    places = (first + np.arange(length, dtype=np.float32) * step).astype(np.float64)
    left = np.minimum(np.floor(places).astype(int), length - 1)
    right = np.minimum(left + 1, length - 1)
    weights = np.zeros((length, length))
    rows = np.arange(length)
    np.add.at(weights, (rows, left), 1.0 - (places - left))
    np.add.at(weights, (rows, right), places - left)
    return csr_array(weights.astype(np.float32))
