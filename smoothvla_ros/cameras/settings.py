"""What a camera is and what is made of its images."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError


class SourceKind(StrEnum):
    """Where the images come from."""

    V4L2 = 'v4l2'
    VIDEO = 'video'
    IMAGES = 'images'
    PATTERN = 'pattern'


class Flip(StrEnum):
    """How an image is turned before anyone sees it."""

    NONE = 'none'
    HORIZONTAL = 'horizontal'
    VERTICAL = 'vertical'
    BOTH = 'both'


SOURCE_KINDS = tuple(kind.value for kind in SourceKind)
FLIPS = tuple(flip.value for flip in Flip)


@dataclass(frozen=True)
class CameraSettings:
    """One camera; validated when it is made."""

    source: str = setting(SourceKind.V4L2.value, 'Where the images come from', choices=SOURCE_KINDS)
    path: str = setting(
        '/dev/video0', 'Device (or its number), video file, or folder of images; pattern: unused'
    )
    rate_hz: float = setting(20.0, 'Images a second', minimum=0.1, maximum=240.0)
    capture_width: int = setting(
        640, 'Width that a device is asked for, pixels', minimum=8, maximum=8192
    )
    capture_height: int = setting(
        480, 'Height that a device is asked for, pixels', minimum=8, maximum=8192
    )
    fourcc: str = setting('', "Pixel format that a device is asked for, such as MJPG; '': its own")
    width: int = setting(0, 'Width of a published image; 0 keeps the source', minimum=0)
    height: int = setting(0, 'Height of a published image; 0 keeps the source', minimum=0)
    flip: str = setting(Flip.NONE.value, 'How images are turned', choices=FLIPS)
    loop: bool = setting(True, 'Begin a video or a folder again at its end')
    calibration: Path | None = setting(
        None, 'Calibration of the published image, as camera_calibration writes it'
    )
    reconnect_s: float = setting(
        1.0, 'Time between two attempts to reach a lost camera, s', minimum=0.05, maximum=60.0
    )

    def __post_init__(self) -> None:
        validate(self, 'camera')
        if bool(self.width) != bool(self.height):
            raise UserError(
                f'camera: width={self.width} and height={self.height}; give both, or 0 for both'
            )
        if self.fourcc and len(self.fourcc) != 4:
            raise UserError(f'camera: fourcc={self.fourcc!r} is not four letters, such as MJPG')
