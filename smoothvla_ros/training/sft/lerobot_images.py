"""Images of a LeRobot dataset: encoded in the table, as files, or as video."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pyarrow as pa

from smoothvla_ros.errors import UserError

REMEDY = 'copy the dataset again, or leave that episode out'
"""What helps where a table lacks something of one episode."""


def decode_images(
    folder: Path, column: pa.ChunkedArray, steps: np.ndarray, place: str
) -> np.ndarray:
    """Return the images of the given rows of a column, [n, H, W, 3] if they are coloured.

    Their numbers are those of the files: uint8, or uint16 where a PNG has 16 bits.
    place: file, column and episode, for errors.  Raises UserError naming the row of an image that
    is missing or cannot be read.
    """
    images = []
    for step in steps:
        cell = column[int(step)].as_py() or {}
        if not cell.get('bytes') and not cell.get('path'):
            raise UserError(f'{place} has no image in row {step}; {REMEDY}')
        try:
            encoded = cell['bytes'] if cell.get('bytes') else (folder / cell['path']).read_bytes()
            image = iio.imread(encoded, extension='.png')
        except OSError as error:
            raise UserError(f'{place} cannot be read in row {step}: {error}; {REMEDY}') from error
        # Transparency is left out; a grey image has no third dimension to leave it out of.
        images.append(image[..., :3] if image.ndim == 3 else image)
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
        # What the decoder printed follows, page after page.
        line = str(error).splitlines()[0]
        raise UserError(f'{path} cannot be decoded: {line}; copy the dataset again') from error
    if len(frames) != len(steps):
        raise UserError(f'{path} has fewer frames than its table has rows; copy the dataset again')
    return np.stack(frames)
