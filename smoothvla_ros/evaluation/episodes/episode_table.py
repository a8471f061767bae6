"""The episode table: a row an episode, computed from what the store keeps and from nothing else."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import os
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from smoothvla_ros.atomic_files import write_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.evaluation.episodes.stored_episode import StoredEpisode
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.records import EpisodeName, Trajectory
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    SmoothnessSummary,
    TooFewSamplesError,
    summarise_trajectory,
    tool_jerk,
)


@dataclass(frozen=True)
class EpisodeRow:
    """One episode of one policy; the columns of episodes.csv, in this order.

    jerk is the mean norm of the tool's translational jerk; rms_, peak_ and commanded_jerk,
    substep_jerk (from the joints at the simulator's own step) and seam_jerk (at the instants where
    one chunk ends and the next begins) are in m/s^3 too, the angular ones in rad/s^3. mean_speed
    is in m/s, path_length in m. action_total_variation is the mean norm of the change of the
    action from step to step without the gripper, seam_action_change the same at the seams.
    negative_log_prob is the mean over the executed tokens, nat a token. rate_hz, window_s and
    order are the jerk estimator's. A number that does not exist for an episode is NaN.
    """

    policy: str
    episode_id: str
    suite: str
    task: int
    init_state: int
    scene_seed: int
    greedy: bool
    temperature: float
    seed: int
    success: bool
    steps: int
    chunks: int
    duration_s: float
    jerk: float
    rms_jerk: float
    peak_jerk: float
    angular_jerk: float
    rms_angular_jerk: float
    commanded_jerk: float
    substep_jerk: float
    seam_jerk: float
    seam_action_change: float
    action_total_variation: float
    ldlj: float
    sparc: float
    mean_speed: float
    path_length: float
    negative_log_prob: float
    rate_hz: float
    window_s: float
    order: int

    @property
    def name(self) -> EpisodeName:
        """The scene that the episode started from."""
        return EpisodeName(self.suite, self.task, self.init_state, self.scene_seed)

    @property
    def pace_free_jerk(self) -> float:
        """Mean jerk in units of path length over duration cubed: the same at any pace and size."""
        if not self.path_length > 0.0:
            return math.nan
        return self.jerk * self.duration_s**3 / self.path_length

    @property
    def estimator(self) -> EstimatorSettings:
        """How the jerk of this row was estimated."""
        return EstimatorSettings(rate_hz=self.rate_hz, window_s=self.window_s, order=self.order)


COLUMNS = tuple(field.name for field in dataclasses.fields(EpisodeRow))
COLUMN_TYPES: Mapping[str, type[Any]] = typing.get_type_hints(EpisodeRow)
"""Of each column: str, bool, int or float."""


def row_from_stored(
    episode: StoredEpisode, arm: Arm, estimator: EstimatorSettings | None = None
) -> EpisodeRow:
    """Measure a stored episode. estimator: the project's one estimator where None is given."""
    settings = estimator or EstimatorSettings()
    request, trajectory = episode.request, episode.trajectory
    smoothness = _smoothness(trajectory, arm, settings)
    return EpisodeRow(
        policy=episode.policy,
        episode_id=request.episode_id,
        suite=request.name.suite,
        task=request.name.task,
        init_state=request.name.init_state,
        scene_seed=request.name.scene_seed,
        greedy=request.temperature == 0.0,
        temperature=request.temperature,
        seed=request.seed,
        success=episode.success,
        steps=trajectory.steps,
        chunks=len(episode.chunk_steps),
        duration_s=trajectory.steps * trajectory.control_period_s,
        jerk=smoothness.mean_jerk,
        rms_jerk=smoothness.rms_jerk,
        peak_jerk=smoothness.peak_jerk,
        angular_jerk=smoothness.mean_angular_jerk,
        rms_angular_jerk=smoothness.rms_angular_jerk,
        commanded_jerk=smoothness.mean_commanded_jerk,
        substep_jerk=smoothness.mean_jerk_substep,
        seam_jerk=_seam_jerk(episode, arm, settings),
        seam_action_change=_seam_action_change(episode),
        action_total_variation=smoothness.action_total_variation,
        ldlj=smoothness.ldlj,
        sparc=smoothness.sparc,
        mean_speed=smoothness.mean_speed,
        path_length=smoothness.path_length,
        negative_log_prob=_negative_log_prob(episode),
        rate_hz=settings.rate_hz,
        window_s=settings.window_s,
        order=settings.order,
    )


def jerk_over_time(
    episode: StoredEpisode, arm: Arm, estimator: EstimatorSettings | None = None
) -> np.ndarray:
    """Norm of the tool's translational jerk at every joint sample, [T + 1] m/s^3.

    NaN at both ends, where no full window of the estimator lies around the sample. Raises
    TooFewSamplesError for an episode shorter than one window.
    """
    trajectory = episode.trajectory
    jerk = tool_jerk(
        trajectory.joint_positions,
        arm.jacobian,
        trajectory.control_period_s,
        estimator or EstimatorSettings(),
    )
    return np.linalg.norm(jerk[:, :3], axis=1)


def _smoothness(
    trajectory: Trajectory, arm: Arm, estimator: EstimatorSettings
) -> SmoothnessSummary:
    try:
        return summarise_trajectory(trajectory, arm.jacobian, estimator)
    except TooFewSamplesError:
        # Shorter than one window: success and length count, a jerk does not exist.
        return SmoothnessSummary(**dict.fromkeys(SmoothnessSummary.__dataclass_fields__, math.nan))


def _seam_jerk(episode: StoredEpisode, arm: Arm, estimator: EstimatorSettings) -> float:
    try:
        jerk = jerk_over_time(episode, arm, estimator)[episode.seams]
    except TooFewSamplesError:
        return float('nan')
    known = jerk[np.isfinite(jerk)]
    return float(known.mean()) if len(known) else float('nan')


def _seam_action_change(episode: StoredEpisode) -> float:
    """Mean norm of the action's change across a seam; the gripper is left out."""
    motion = episode.trajectory.actions[:, :-1]
    seams = episode.seams[episode.seams < len(motion)]
    if len(seams) == 0:
        return float('nan')
    return float(np.linalg.norm(motion[seams] - motion[seams - 1], axis=1).mean())


def _negative_log_prob(episode: StoredEpisode) -> float:
    executed = np.arange(episode.log_probs.shape[1]) < episode.chunk_steps[:, None]
    if not executed.any():
        return float('nan')
    return float(-episode.log_probs.astype(np.float64)[executed].mean())


def read_rows(path: Path) -> list[EpisodeRow]:
    """Read episodes.csv. A last line that a killed run left unfinished is dropped.

    Raises UserError for a missing file, other columns, or a damaged line before the last.
    """
    try:
        text = path.read_text()
    except OSError as error:
        raise UserError(f'{path}: {error.strerror}; give a run that evaluated something') from error
    except UnicodeDecodeError as error:
        raise UserError(f'{path} is damaged ({error}); use `smoothvla report` on it') from error
    finished, _, _ = text.rpartition('\n')
    lines = list(csv.reader(io.StringIO(finished)))
    if not lines or tuple(lines[0]) != COLUMNS:
        raise UserError(f'{path} has other columns than this version; use `smoothvla report` on it')
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        try:
            rows.append(_parse(cells))
        except ValueError as error:
            raise UserError(
                f'{path}, line {number}: {error}; use `smoothvla report` on it'
            ) from error
    return rows


def in_order(rows: Iterable[EpisodeRow]) -> list[EpisodeRow]:
    """Sort rows into the table's one order, whatever order the episodes finished in."""
    return sorted(rows, key=lambda row: (row.policy, row.temperature, row.name, row.episode_id))


def write_rows(path: Path, rows: Iterable[EpisodeRow]) -> None:
    """Write the whole table in a fixed order, atomically."""
    ordered = in_order(rows)
    write_file(path, _lines([COLUMNS, *(_cells(row) for row in ordered)]))


def append_row(path: Path, row: EpisodeRow) -> None:
    """Add one finished row, on disk when this returns; `path` must end with a whole line."""
    with path.open('a') as file:
        file.write(_lines([_cells(row)]))
        file.flush()
        os.fsync(file.fileno())


def _cells(row: EpisodeRow) -> list[str]:
    # repr is the shortest text that reads back as the same float.
    return [
        repr(value) if isinstance(value, float) else str(value)
        for value in (getattr(row, column) for column in COLUMNS)
    ]


def _lines(lines: Sequence[Sequence[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator='\n').writerows(lines)
    return buffer.getvalue()


def _parse(cells: Sequence[str]) -> EpisodeRow:
    if len(cells) != len(COLUMNS):
        raise ValueError(f'{len(cells)} of {len(COLUMNS)} columns')
    values: dict[str, object] = {}
    for column, cell in zip(COLUMNS, cells, strict=True):
        kind = COLUMN_TYPES[column]
        if kind is bool:
            if cell not in ('True', 'False'):
                raise ValueError(f'{column}={cell!r} is neither True nor False')
            values[column] = cell == 'True'
        else:
            values[column] = kind(cell)
    return EpisodeRow(**values)  # type: ignore[arg-type]
