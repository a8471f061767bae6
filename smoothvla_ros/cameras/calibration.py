"""Camera calibrations in the YAML format of ROS's camera_calibration and camera_info_manager."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from smoothvla_ros.errors import UserError

_SHAPES = {
    'camera_matrix': (3, 3),
    'rectification_matrix': (3, 3),
    'projection_matrix': (3, 4),
}


@dataclass(frozen=True)
class Calibration:
    """Intrinsics of an image of width x height pixels, named as in sensor_msgs/CameraInfo.

    k: [3, 3], pixels.  d: distortion of `distortion_model`.  r: [3, 3].  p: [3, 4], pixels.
    """

    width: int
    height: int
    distortion_model: str
    d: np.ndarray
    k: np.ndarray
    r: np.ndarray
    p: np.ndarray

    def for_size(self, width: int, height: int) -> Calibration:
        """Return the calibration of the same view in another size.

        Raises UserError where the sides have another ratio: the view is then another one.
        """
        if (width, height) == (self.width, self.height):
            return self
        if abs(width * self.height - height * self.width) > max(self.width, self.height):
            raise UserError(
                f'calibration is for {self.width} x {self.height}, the image has {width} x '
                f'{height}: another ratio; calibrate at the published size'
            )
        across, down = width / self.width, height / self.height
        # Pixel centres: coordinate u of the large image is (u + 0.5) * across - 0.5 of the small.
        scale = np.array(
            [[across, 0.0, 0.5 * across - 0.5], [0.0, down, 0.5 * down - 0.5], [0.0, 0.0, 1.0]]
        )
        return replace(self, width=width, height=height, k=scale @ self.k, p=scale @ self.p)


def read_calibration(path: Path) -> Calibration:
    """Read a calibration file.  Raises UserError naming the file and what is wrong with it."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise UserError(f'calibration {path}: {error.strerror}; give a readable file') from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = ' '.join(str(error).split())
        raise UserError(f'calibration {path} is not valid YAML: {line}') from error
    if not isinstance(content, dict):
        raise UserError(f'calibration {path}: expected what camera_calibration writes')
    matrices = {name: _matrix(content, name, shape, path) for name, shape in _SHAPES.items()}
    for name in ('image_width', 'image_height'):
        size = content.get(name)
        if not isinstance(size, int) or size <= 0:
            raise UserError(f'calibration {path}: {name}={size} is no size')
    distortion = content.get('distortion_coefficients', {})
    coefficients = _numbers(distortion, 'distortion_coefficients', path)
    return Calibration(
        int(content['image_width']),
        int(content['image_height']),
        str(content.get('distortion_model', 'plumb_bob')),
        coefficients,
        matrices['camera_matrix'],
        matrices['rectification_matrix'],
        matrices['projection_matrix'],
    )


def _matrix(content: dict[str, Any], name: str, shape: tuple[int, int], path: Path) -> np.ndarray:
    if name not in content:
        raise UserError(f'calibration {path} has no {name}; write it with camera_calibration')
    values = _numbers(content[name], name, path)
    if values.size != shape[0] * shape[1]:
        raise UserError(f'calibration {path}: {name} has {values.size} numbers, not {shape}')
    return values.reshape(shape)


def _numbers(entry: Any, name: str, path: Path) -> np.ndarray:
    data = entry.get('data') if isinstance(entry, dict) else entry
    try:
        values = np.array(data, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise UserError(f'calibration {path}: {name} is not a list of numbers') from error
    if not np.isfinite(values).all():
        raise UserError(f'calibration {path}: {name} is not finite')
    return values
