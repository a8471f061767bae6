"""When the gripper opens and closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.configuration import setting, validate

# Of the way from closed to open: a measured position that is closer to closed is closed.
_CLOSED_WITHIN = 0.02


@dataclass(frozen=True)
class GripperSettings:
    """How a number in [-1, 1] becomes an opening."""

    gripper_threshold: float = setting(
        0.05, 'Below this magnitude a command changes nothing', minimum=0.0, maximum=1.0
    )
    gripper_positive_closes: bool = setting(True, 'Whether a positive number closes, as in LIBERO')

    def __post_init__(self) -> None:
        validate(self, 'gripper')


class Gripper:
    """Open or closed by the sign of the command, as in LIBERO; a small one changes nothing."""

    def __init__(self, settings: GripperSettings) -> None:
        self._settings = settings
        self._is_open: bool | None = None

    def forget(self) -> None:
        """Say the next command again, whatever it is."""
        self._is_open = None

    def update(self, command: float) -> bool | None:
        """Take a command in [-1, 1]; return whether to open, or None where nothing changes."""
        if not np.isfinite(command) or abs(command) < self._settings.gripper_threshold:
            return None
        wants_open = (command > 0) != self._settings.gripper_positive_closes
        if wants_open == self._is_open:
            return None
        self._is_open = wants_open
        return wants_open


def is_holding(position: float, opened: float, closed: float) -> bool:
    """Return whether fingers that were told to close and came to rest have something between them.

    position: where they stopped, m or rad, or the width between two fingers that close to zero.
    opened, closed: of one finger, in the same unit.  A position that is not finite says nothing.
    """
    way = opened - closed
    return (position - closed) * way > _CLOSED_WITHIN * way**2
