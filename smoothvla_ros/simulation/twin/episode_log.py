"""What the twin's arm did, at the rate of the physics, for whoever measures its jerk."""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np

from smoothvla_ros.atomic_files import new_file
from smoothvla_ros.errors import UserError, disk_errors
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin

REST_S = 1.0


class EpisodeLog:
    """Writes one NumPy archive an episode; without a folder it does nothing.

    An archive holds joint_positions and commanded_positions, float64 [T, 7] rad, one row a
    substep to the end, from the reset or at most REST_S before the first command: an arm may wait
    for hours until somebody arms the guard.  Further period_s, success, and the episode's name.
    """

    def __init__(self, folder: Path | None) -> None:
        """Make the folder.  Raises UserError where that is not possible."""
        self._folder = folder
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f'motions={folder}: {error.strerror}; choose another') from error

    def begin(self, name: EpisodeName) -> None:
        """Begin an episode; one that did not end is forgotten."""
        self._name = name
        self._positions: deque[np.ndarray] = deque()
        self._commanded: deque[np.ndarray] = deque()

    def add(self, twin: ArmTwin, *, commanded: bool) -> None:
        """Take the state after a substep; `commanded` from the episode's first command on."""
        if self._folder is None:
            return
        self._period_s = twin.period_s
        self._positions.append(twin.environment.joint_positions().copy())
        self._commanded.append(np.array(twin.commanded_positions()))
        if not commanded and len(self._positions) * twin.period_s > REST_S:
            self._positions.popleft()
            self._commanded.popleft()

    def end(self, success: bool) -> None:
        """Write the episode.  Raises UserError where the disk does not take it."""
        if self._folder is None or not self._positions:
            return
        name = self._name
        path = self._folder / (f'{name.suite}_{name.task}_{name.init_state}_{name.scene_seed}.npz')
        with (
            disk_errors(f'motions={self._folder}'),
            new_file(path) as temporary,
            temporary.open('wb') as file,
        ):
            np.savez_compressed(
                file,
                joint_positions=np.array(self._positions),
                commanded_positions=np.array(self._commanded),
                period_s=self._period_s,
                success=success,
                suite=name.suite,
                task=name.task,
                init_state=name.init_state,
                scene_seed=name.scene_seed,
            )
