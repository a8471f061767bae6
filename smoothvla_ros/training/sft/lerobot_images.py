"""Images of a LeRobot dataset: encoded in the table, as files, or as video."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pyarrow as pa

from smoothvla_ros.errors import UserError


def decode_images(folder: Path, column: pa.ChunkedArray, steps: np.ndarray) -> np.ndarray:
    """Return uint8 [n, H, W, 3] of the given rows of an image column."""
    images = []
    for step in steps:
        cell = column[int(step)].as_py()
        encoded = cell['bytes'] if cell.get('bytes') else (folder / cell['path']).read_bytes()
        images.append(iio.imread(encoded, extension='.png')[..., :3])
    return np.stack(images)


def decode_video(path: Path, start_s: float, rate_hz: float, steps: np.ndarray) -> np.ndarray:
    """Return uint8 [n, H, W, 3]: the frames `steps` after `start_s` of a video.

    Raises UserError naming the file if it is missing or has fewer frames.
    """
    if not path.is_file():
        raise UserError(f'{path} is missing; copy the dataset again')
    # Half a frame early: the first frame at or after the seek point is then the one meant.
    seek = max(0.0, start_s - 0.5 / rate_hz)
    count = int(steps[-1]) + 1
    try:
        reader = imageio_ffmpeg.read_frames(
            str(path),
            pix_fmt='rgb24',
            input_params=['-ss', f'{seek:.6f}'],
            output_params=['-frames:v', str(count)],
        )
        width, height = next(reader)['size']
        wanted = set(steps.tolist())
        frames = [
            np.frombuffer(frame, np.uint8).reshape(height, width, 3)
            for index, frame in enumerate(reader)
            if index in wanted
        ]
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(f'{path} cannot be decoded: {error}; copy the dataset again') from error
    if len(frames) != len(steps):
        raise UserError(f'{path} has fewer frames than its table has rows; copy the dataset again')
    return np.stack(frames)
