"""Demonstrations on disk: one NumPy archive an episode, written whole or not at all."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.archives import DamagedArchive, read_arrays
from smoothvla_ros.atomic_files import new_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName


@dataclass(frozen=True)
class Demonstration:
    """One episode of T control steps, with images before some of them.

    images_agentview, images_wrist: uint8 [N, H, W, 3], RGB, upright; before the control steps
    image_steps, int64 [N].
    joint_positions, joint_velocities: [T + 1, 7] rad, rad/s, before the first step and after each.
    gripper_positions: [T + 1, 2] m.
    actions: float32 [T, 7], what the expert wanted: the label.  executed_actions: float32 [T, 7],
    what was run, noise included.
    waypoint, object_position, target_position: float32 [T, 3] m, robot base frame: where the tool
    is heading, where the object is, where it has to go. Privileged; for auxiliary losses only.
    """

    suite: str
    task: int
    init_state: int
    scene_seed: int
    instruction: str
    success: bool
    images_agentview: np.ndarray
    images_wrist: np.ndarray
    image_steps: np.ndarray
    joint_positions: np.ndarray
    joint_velocities: np.ndarray
    gripper_positions: np.ndarray
    actions: np.ndarray
    executed_actions: np.ndarray
    waypoint: np.ndarray
    object_position: np.ndarray
    target_position: np.ndarray

    @property
    def name(self) -> EpisodeName:
        """The episode that was demonstrated."""
        return EpisodeName(self.suite, self.task, self.init_state, self.scene_seed)

    @property
    def steps(self) -> int:
        """Number of control steps."""
        return len(self.actions)

    @property
    def clean(self) -> bool:
        """Whether exactly the expert's own actions were executed."""
        return bool(np.array_equal(self.actions, self.executed_actions))


def demonstration_path(folder: Path, name: EpisodeName, attempt: int) -> Path:
    """Return where an episode is kept: ``libero_goal/task_03/init07_seed00012_a0.npz``."""
    file = f'init{name.init_state:02d}_seed{name.scene_seed:05d}_a{attempt}.npz'
    return Path(folder) / name.suite / f'task_{name.task:02d}' / file


def write_demonstration(demonstration: Demonstration, path: Path) -> None:
    """Write one episode; an interrupted write leaves nothing under the final name.

    Raises UserError if the folder cannot be written.
    """
    try:
        with new_file(path) as temporary, temporary.open('wb') as file:
            np.savez(file, **dataclasses.asdict(demonstration))
    except OSError as error:
        raise UserError(
            f'demonstration {path}: {error.strerror}; set out to a writable folder'
        ) from error


def may_be_demonstration(path: Path) -> bool:
    """Whether an archive has images and actions by a demonstration's names, or cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {'images_agentview.npy', 'actions.npy'} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return True


def read_demonstration(path: Path) -> Demonstration:
    """Read one episode.  Raises UserError naming a file that is missing or damaged."""
    kinds = {field.name: field.type for field in dataclasses.fields(Demonstration)}
    try:
        arrays = read_arrays(path)
        values: dict[str, Any] = {name: arrays[name] for name in kinds}
    except (DamagedArchive, KeyError) as error:
        raise UserError(
            f'demonstration {path} is damaged or no demonstration ({error}); delete it and record '
            'it again'
        ) from error
    scalars = {'str': str, 'int': int, 'bool': bool}
    return Demonstration(
        **{
            name: scalars[str(kinds[name])](value) if kinds[name] in scalars else value
            for name, value in values.items()
        }
    )
