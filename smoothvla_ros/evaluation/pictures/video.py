"""The before/after video: both policies on one scene side by side, their jerk drawn below."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg
import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageColor, ImageDraw, ImageFont

from smoothvla_ros.atomic_files import new_file, write_file
from smoothvla_ros.evaluation.episodes.motion import EpisodeMotion, MotionPair
from smoothvla_ros.evaluation.pictures.figure_style import (
    AFTER_COLOUR,
    BEFORE_COLOUR,
    INK,
    figure,
    quiet_axes,
)
from smoothvla_ros.evaluation.pictures.replay import Replay
from smoothvla_ros.libero import CONTROL_RATE_HZ

# Even numbers of pixels: H.264 halves its colour planes.
PICTURE = 384
_GAP = 8
_HEADER = 44
_CURVE = 172
WIDTH = 2 * PICTURE + _GAP
HEIGHT = _HEADER + PICTURE + _CURVE

_HOLD_S = 1.5


@dataclass(frozen=True)
class Side:
    """One policy's half of the video."""

    label: str
    colour: str
    replay: Replay
    motion: EpisodeMotion


class BeforeAfterFilm:
    """Frames of two episodes of one scene, in step with each other in simulated time."""

    def __init__(
        self,
        pair: MotionPair,
        replays: tuple[Replay, Replay],
        labels: tuple[str, str] = ('before', 'after'),
    ) -> None:
        """Lay out the film of a pair; `replays` are of the pair's two episodes, in order."""
        self._title = pair.title
        self._sides = (
            Side(labels[0], BEFORE_COLOUR, replays[0], pair.before),
            Side(labels[1], AFTER_COLOUR, replays[1], pair.after),
        )
        self._font = _font(17, bold=True)
        self._small = _font(14)
        self._duration = max(side.motion.times[-1] for side in self._sides)
        self._faint, self._strong, self._span = self._curves()

    @property
    def duration_s(self) -> float:
        """Length of the longer episode, s."""
        return float(self._duration)

    def frame(self, time_s: float) -> np.ndarray:
        """Return the frame at a time of the episodes: uint8 [HEIGHT, WIDTH, 3]."""
        canvas = Image.new('RGB', (WIDTH, HEIGHT), 'white')
        draw = ImageDraw.Draw(canvas)
        for index, side in enumerate(self._sides):
            left = index * (PICTURE + _GAP)
            picture = Image.fromarray(_latest(side, time_s))
            if picture.width != PICTURE:
                picture = picture.resize((PICTURE, PICTURE), Image.Resampling.LANCZOS)
            canvas.paste(picture, (left, _HEADER))
            self._heading(draw, left, side, time_s)
        canvas.paste(self._curve(time_s), (0, _HEADER + PICTURE))
        return np.asarray(canvas)

    def frames(self, rate_hz: float) -> Iterator[np.ndarray]:
        """Yield the whole film in real time, with a moment of rest at its end."""
        for index in range(round((self._duration + _HOLD_S) * rate_hz)):
            yield self.frame(min(index / rate_hz, self._duration))

    def _heading(self, draw: ImageDraw.ImageDraw, left: int, side: Side, time_s: float) -> None:
        jerk = float(np.nanmean(side.motion.jerk))
        finished = time_s >= side.motion.times[-1]
        state = f'done in {side.motion.times[-1]:.1f} s' if finished else f'{time_s:.1f} s'
        draw.rectangle((left, 0, left + PICTURE - 1, 3), fill=side.colour)
        draw.text((left + 4, 14), side.label, side.colour, self._font)
        text = f'mean jerk {jerk:.2f} m/s³   {state}'
        end = left + PICTURE - 4
        draw.text((end, 16), text, ImageColor.getrgb(INK), self._small, anchor='ra')

    def _curve(self, time_s: float) -> Image.Image:
        """Return the strip below: what is past in full colour, what comes faint."""
        first, last = self._span
        column = round(first + (last - first) * time_s / self._duration)
        strip = self._faint.copy()
        strip.paste(self._strong.crop((0, 0, column, _CURVE)), (0, 0))
        ImageDraw.Draw(strip).line((column, 24, column, _CURVE - 34), fill=INK, width=1)
        return strip

    def _curves(self) -> tuple[Image.Image, Image.Image, tuple[float, float]]:
        """Draw the jerk curves faint and strong, and find the pixels of time 0 and of the end."""
        images = []
        span = (0.0, 1.0)
        for alpha in (0.22, 1.0):
            with figure(_CURVE / 100.0, WIDTH / 100.0) as drawing:
                canvas = FigureCanvasAgg(drawing)
                drawing.set_dpi(100)
                axes = drawing.subplots()
                for side in self._sides:
                    axes.plot(side.motion.times, side.motion.jerk, color=side.colour, alpha=alpha)
                axes.set_xlim(0.0, self._duration)
                axes.set_ylim(bottom=0.0)
                axes.set_title(f'tool jerk, m/s³ – {self._title}', weight='normal', size=9.5)
                axes.set_xlabel('time, s', size=9)
                axes.yaxis.set_major_locator(MaxNLocator(4))
                quiet_axes(axes)
                canvas.draw()
                images.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB'))
                ends = axes.transData.transform([(0.0, 0.0), (self._duration, 0.0)])
                span = (float(ends[0, 0]), float(ends[1, 0]))
        return images[0], images[1], span


def write_film(path: Path, film: BeforeAfterFilm, rate_hz: float = CONTROL_RATE_HZ) -> None:
    """Write the film as H.264 (.mp4) in real time, whole or not at all."""
    encoding = ['-crf', '23', '-preset', 'veryfast', '-movflags', '+faststart', '-f', 'mp4']
    with new_file(path) as temporary:
        writer = imageio_ffmpeg.write_frames(
            str(temporary),
            (WIDTH, HEIGHT),
            fps=rate_hz,
            codec='libx264',
            quality=None,
            macro_block_size=2,
            output_params=encoding,
            ffmpeg_log_level='error',
        )
        writer.send(None)
        for frame in film.frames(rate_hz):
            writer.send(np.ascontiguousarray(frame))
        writer.close()


def write_still(path: Path, film: BeforeAfterFilm) -> None:
    """Write the frame (.png) in the middle of the film."""
    with new_file(path) as temporary:
        Image.fromarray(film.frame(0.5 * film.duration_s)).save(temporary, 'PNG', optimize=True)


def write_animation(
    path: Path, film: BeforeAfterFilm, rate_hz: float = 8.0, width: int = 560
) -> None:
    """Write a small looping .gif for a page that shows no video."""
    height = round(HEIGHT * width / WIDTH)
    pictures = [
        Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
        for frame in film.frames(rate_hz)
    ]
    palette = pictures[len(pictures) // 2].quantize(128)
    indexed = [picture.quantize(palette=palette) for picture in pictures]
    buffer = io.BytesIO()
    indexed[0].save(
        buffer,
        'GIF',
        save_all=True,
        append_images=indexed[1:],
        duration=round(1000.0 / rate_hz),
        loop=0,
    )
    write_file(path, buffer.getvalue())


def _latest(side: Side, time_s: float) -> np.ndarray:
    """Return the newest frame that was taken at or before a time."""
    times = side.motion.times[side.replay.steps]
    return side.replay.frames[max(0, int(np.searchsorted(times, time_s + 1e-9, 'right')) - 1)]


def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    name = 'DejaVuSans-Bold.ttf' if bold else 'DejaVuSans.ttf'
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / 'fonts' / 'ttf' / name, size)
