"""What is drawn of a scene, and how."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate

# Our camera names, and what LIBERO calls them.
CAMERAS = {'agentview': 'agentview', 'wrist': 'robot0_eye_in_hand'}


@dataclass(frozen=True)
class RenderSettings:
    """How a scene is drawn.

    `stock` draws what robosuite draws, pixel for pixel. `fast` leaves out reflections, shadows and
    multisampling and draws coarser meshes: five to seven times faster in software, other pixels.
    A policy must be run with the profile that it was trained on.
    """

    profile: str = setting('fast', 'how images are drawn', choices=('stock', 'fast'))
    size: int = setting(128, 'height and width of an image, pixels', minimum=8, maximum=2048)
    cameras: tuple[str, ...] = setting(
        ('agentview', 'wrist'), 'cameras of an observation', choices=tuple(CAMERAS)
    )

    def __post_init__(self) -> None:
        validate(self, 'render')
