"""What the twin plays, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.libero import CAMERAS, FAST, RENDER_PROFILES
from smoothvla_ros.robot_name import ROBOT, require_robot_name
from smoothvla_ros.simulation import splits, tasks


@dataclass(frozen=True)
class TwinConfig:
    """What is simulated, and how it is paced."""

    robot_name: str = setting(ROBOT, 'Namespace of the robot that the twin stands for')
    suite: str = setting('libero_spatial', 'LIBERO suite')
    task: int = setting(0, 'Index of the task within the suite', minimum=0)
    split: str = setting(
        'held_out', 'Which scenes are played', choices=tuple(s.value for s in splits.Split)
    )
    episodes: int = setting(
        10, 'Scenes that the reset service takes in turn', minimum=1, maximum=10000
    )
    seed: int = setting(0, 'Which scenes are drawn from the split', minimum=0)
    instruction: str = setting('', "What the policy is told; empty is the task's own instruction")
    speed: float = setting(
        1.0,
        'Simulated seconds a second; another than 1 publishes /clock',
        minimum=0.01,
        maximum=20.0,
    )
    publish_clock: bool = setting(
        False, 'Publish /clock at any speed: a slow machine then stretches time and loses nothing'
    )
    render_profile: str = setting(FAST, 'How images are drawn', choices=RENDER_PROFILES)
    image_size: int = setting(128, 'Height and width of an image, pixels', minimum=8, maximum=2048)
    cameras: tuple[str, ...] = setting(CAMERAS, 'Cameras that are published', choices=CAMERAS)
    image_rate_hz: float = setting(20.0, 'Images of each camera, Hz', minimum=0.1, maximum=20.0)
    joint_rate_hz: float = setting(250.0, 'Joint states, Hz', minimum=100.0, maximum=500.0)
    time_limit_s: float = setting(
        0.0, "End of an episode after its first command, s; 0 is LIBERO's own limit", minimum=0.0
    )
    motions: Path | None = setting(None, 'Folder for the motion of every episode; empty: none')

    def __post_init__(self) -> None:
        validate(self, 'twin')
        require_robot_name(self.robot_name, 'twin')
        tasks.task(self.suite, self.task)

    @property
    def owns_clock(self) -> bool:
        """Whether every node goes by the twin's time instead of the wall's."""
        return self.publish_clock or self.speed != 1.0
