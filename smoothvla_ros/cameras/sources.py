"""Frames, one after another, from whatever a camera is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from smoothvla_ros.cameras.settings import CameraSettings, SourceKind
from smoothvla_ros.errors import UserError
from smoothvla_ros.nanoseconds import NANOSECONDS
from smoothvla_ros.user_path import user_path

_IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
_PATTERN_SIZE = (480, 640)
# Of a driver's own stamp: one that was never within this of our clock is of another one.
_LARGEST_DELAY_NS = 2 * NANOSECONDS
# More than any driver's queue holds.
_MOST_WAITING = 32


class FrameSource(Protocol):
    """Frames in order."""

    paced: bool
    """Whether the source itself decides when there is a frame."""

    def read(self) -> tuple[np.ndarray, int] | None:
        """Return uint8 [height, width, 3], RGB, and when it was taken (ns, Unix); None at the end.

        Raises UserError where the source is lost.
        """

    def begin(self) -> None:
        """Leave out what was taken before now and still waits to be read."""

    def close(self) -> None:
        """Let go of the device or file."""


def open_source(settings: CameraSettings) -> FrameSource:
    """Return the source of the settings.  Raises UserError in one line where it gives no frames."""
    kind = SourceKind(settings.source)
    settings = dataclasses.replace(settings, path=str(user_path(settings.path)))
    if kind is SourceKind.V4L2:
        return _Device(settings)
    if kind is SourceKind.VIDEO:
        return _Video(settings)
    if kind is SourceKind.IMAGES:
        return _ImageFolder(settings)
    return _Pattern()


class _Device:
    """A V4L2 camera; with another backend the stamp is when the frame was handed over."""

    paced = True

    def __init__(self, settings: CameraSettings) -> None:
        self._path = settings.path
        device: int | str = int(settings.path) if settings.path.isdigit() else settings.path
        if isinstance(device, str) and not Path(device).exists():
            raise UserError(f'camera {device} does not exist; is it plugged in?')
        capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
        if settings.fourcc:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*settings.fourcc))
        for what, value in (
            (cv2.CAP_PROP_FRAME_WIDTH, settings.capture_width),
            (cv2.CAP_PROP_FRAME_HEIGHT, settings.capture_height),
            (cv2.CAP_PROP_FPS, settings.rate_hz),
            # A frame that waited is an old frame.
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            capture.set(what, value)
        if not capture.isOpened():
            raise UserError(
                f'camera {settings.path} cannot be opened; is another program using it, and may '
                'you read it (group video)?'
            )
        self._capture = capture

        self._stamps = DeviceStamps()
        self._begun_ns = 0

    def begin(self) -> None:
        self._begun_ns = time.time_ns()

    def read(self) -> tuple[np.ndarray, int]:
        stamp = self._grab()
        for _ in range(_MOST_WAITING):
            if stamp >= self._begun_ns:
                break
            stamp = self._grab()
        self._begun_ns = 0
        taken, image = self._capture.retrieve()
        if not taken:
            raise UserError(f'camera {self._path}: a frame cannot be decoded; try another fourcc')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), stamp

    def close(self) -> None:
        self._capture.release()

    def _grab(self) -> int:
        # The stamp belongs to the moment of the exposure, not to the end of decoding.
        if not self._capture.grab():
            raise UserError(f'camera {self._path} gives no more frames; was it unplugged?')
        position_ms = self._capture.get(cv2.CAP_PROP_POS_MSEC)
        return self._stamps.stamp(position_ms, time.time_ns(), time.monotonic_ns())


class DeviceStamps:
    """When the driver filled its buffers; the time of the grab where it does not say.

    V4L2 stamps buffers with the monotonic clock, and OpenCV hands that on as the position in ms.
    Once a device has been seen to do so it is believed, however old a frame is.
    """

    def __init__(self) -> None:
        self._is_monotonic = False

    def stamp(self, position_ms: float, now_ns: int, monotonic_ns: int) -> int:
        """Return when a frame was taken, ns, Unix.

        now_ns, monotonic_ns: both clocks at the grab.
        """
        delay_ns = monotonic_ns - round(position_ms * 1_000_000)
        self._is_monotonic |= 0 <= delay_ns <= _LARGEST_DELAY_NS
        if not self._is_monotonic or position_ms <= 0.0:
            return now_ns
        return now_ns - max(delay_ns, 0)


class _Video:
    """A video file, at the rate of the settings."""

    paced = False

    def __init__(self, settings: CameraSettings) -> None:
        self._path, self._loop = settings.path, settings.loop
        if not Path(settings.path).is_file():
            raise UserError(f'video {settings.path} does not exist; give a video file')
        self._capture = cv2.VideoCapture(settings.path)
        if not self._capture.isOpened() or not self._capture.grab():
            raise UserError(
                f'video {settings.path} cannot be read; give a format that OpenCV knows'
            )
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)

    def read(self) -> tuple[np.ndarray, int] | None:
        taken, image = self._capture.read()
        if not taken and self._loop:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, 0)
            taken, image = self._capture.read()
            if not taken:
                raise UserError(f'video {self._path} cannot be read from its beginning again')
        return (cv2.cvtColor(image, cv2.COLOR_BGR2RGB), time.time_ns()) if taken else None

    def begin(self) -> None:
        return None

    def close(self) -> None:
        self._capture.release()


class _ImageFolder:
    """The images of a folder, by name."""

    paced = False

    def __init__(self, settings: CameraSettings) -> None:
        folder = Path(settings.path)
        if not folder.is_dir():
            raise UserError(f'image folder {folder} does not exist; give a folder of images')
        self._paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in _IMAGE_SUFFIXES)
        if not self._paths:
            raise UserError(f'image folder {folder} has no images ({", ".join(_IMAGE_SUFFIXES)})')
        self._loop = settings.loop
        self._next = self._order()

    def read(self) -> tuple[np.ndarray, int] | None:
        path = next(self._next, None)
        if path is None:
            return None
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise UserError(f'image {path} cannot be read; repair or remove it')
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), time.time_ns()

    def begin(self) -> None:
        return None

    def close(self) -> None:
        return None

    def _order(self) -> Iterator[Path]:
        yield from self._paths
        while self._loop:
            yield from self._paths


class _Pattern:
    """Colours, and a bar that moves on by a pixel a frame: orientation and liveness at a glance."""

    paced = False

    def __init__(self) -> None:
        height, width = _PATTERN_SIZE
        rows, columns = np.mgrid[0:height, 0:width]
        self._background = np.stack(
            [columns * 255 // (width - 1), rows * 255 // (height - 1), np.zeros_like(rows)], axis=2
        ).astype(np.uint8)
        self._frame = 0

    def read(self) -> tuple[np.ndarray, int]:
        image = self._background.copy()
        image[:, self._frame % image.shape[1]] = 255
        self._frame += 1
        return image, time.time_ns()

    def begin(self) -> None:
        return None

    def close(self) -> None:
        return None
