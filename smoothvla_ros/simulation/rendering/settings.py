"""What is drawn of a scene, and how."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.libero import AGENTVIEW, CAMERAS, FAST, RENDER_PROFILES, WRIST

# What its models call the cameras.
MODEL_CAMERAS = {AGENTVIEW: 'agentview', WRIST: 'robot0_eye_in_hand'}


@dataclass(frozen=True)
class RenderSettings:
    """How a scene is drawn.

    `stock` draws what robosuite draws, pixel for pixel. `fast` leaves out reflections, shadows and
    multisampling and draws coarser meshes: five to seven times faster in software, other pixels.
    A policy must be run with the profile that it was trained on.
    """

    profile: str = setting(FAST, 'how images are drawn', choices=RENDER_PROFILES)
    size: int = setting(128, 'height and width of an image, pixels', minimum=8, maximum=2048)
    cameras: tuple[str, ...] = setting(CAMERAS, 'cameras of an observation', choices=CAMERAS)

    def __post_init__(self) -> None:
        validate(self, 'render')
