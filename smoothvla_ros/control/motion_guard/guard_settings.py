"""How the guard moves an arm: its rate, and what it does with chunks."""

from __future__ import annotations

from dataclasses import dataclass

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.control.motion_guard.schedule import Mode


@dataclass(frozen=True)
class GuardSettings:
    """How the guard moves the arm."""

    rate_hz: float = setting(250.0, 'Ticks a second', minimum=100.0, maximum=500.0)
    scheduling: str = setting(
        Mode.REPLACE.value,
        'What a chunk does to the one before it',
        choices=tuple(mode.value for mode in Mode),
    )
    overlap: int = setting(
        2, 'Actions that are a mixture of both chunks when one replaces the other', minimum=0
    )
    skip_elapsed: bool = setting(
        True, 'A replacing chunk begins with the action that is due, not with its first'
    )
    horizon_s: float = setting(
        0.1, 'How far ahead the motion aims: calmer if far, nearer to the chunk if not', minimum=0.0
    )
    transport_s: float = setting(
        0.008, 'In which a command reaches the controller: what is sent before stands', minimum=0.0
    )
    follow_ticks: int = setting(
        3, 'Ticks that the arm goes on for if no new command comes, before it brakes', minimum=1
    )
    settle_s: float = setting(
        0.25, 'In which the arm is taken over when it is armed, at least, s', minimum=0.0
    )
    max_arming_speed_rad_s: float = setting(
        0.05,
        'Fastest joint at which the arm may still be taken over, as far as is known',
        minimum=0.0,
    )

    def __post_init__(self) -> None:
        validate(self, 'motion guard')
