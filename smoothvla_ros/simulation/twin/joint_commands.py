"""Commands by joint name, as they come over the wire, in the order of the twin's joints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.twin.trajectory_controller import TrajectoryPoint


def ordered_points(
    names: Sequence[str],
    points: Sequence[tuple[float, Sequence[float], Sequence[float], Sequence[float]]],
    joints: Sequence[str],
) -> list[TrajectoryPoint]:
    """Return a trajectory in the order of `joints`, as joint_trajectory_controller sorts it.

    points: time from start in s, positions, velocities, accelerations; the last two may be empty.
    Raises UserError for joints that are missing or not the controller's, and for another length.
    """
    if sorted(names) != sorted(joints):
        raise UserError(
            f'joint trajectory names {", ".join(names) or "no joints"}; this controller has '
            f'{", ".join(joints)}'
        )
    index = [list(names).index(name) for name in joints]

    def column(values: Sequence[float], what: str) -> np.ndarray | None:
        if not len(values):
            return None
        if len(values) != len(names):
            raise UserError(f'joint trajectory has {len(values)} {what} for {len(names)} joints')
        return np.asarray(values, dtype=float)[index]

    ordered = []
    for time_s, positions, velocities, accelerations in points:
        places = column(positions, 'positions')
        if places is None:
            raise UserError('joint trajectory without positions; give one a joint')
        ordered.append(
            TrajectoryPoint(
                time_s,
                places,
                column(velocities, 'velocities'),
                column(accelerations, 'accelerations'),
            )
        )
    return ordered


def finger_opening(values: Sequence[float], largest_m: float) -> float:
    """Return how far each finger is to open, m, of a command that names one finger or both.

    Raises UserError for anything that is no position of a finger.
    """
    if len(values) not in (1, 2) or not np.isfinite(values).all():
        raise UserError(f'gripper command {list(values)} is not one or two finger positions in m')
    return float(np.clip(np.mean(values), 0.0, largest_m))
