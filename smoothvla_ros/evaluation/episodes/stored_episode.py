"""What is kept of an episode on disk: enough to compute every number of the report again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from smoothvla_ros.archives import DamagedArchive, read_arrays
from smoothvla_ros.atomic_files import new_file
from smoothvla_ros.errors import UserError
from smoothvla_ros.records import Episode, EpisodeName, EpisodeRequest, Trajectory

FORMAT = 1

_ARRAYS = (
    'actions',
    'joint_positions',
    'joint_velocities',
    'tool_positions',
    'tool_rotations',
    'substep_joint_positions',
)
_PERIODS = ('control_period_s', 'substep_period_s')


@dataclass(frozen=True)
class StoredEpisode:
    """An episode without its images.

    policy: the label of the policy that ran it, for example 'before'.
    chunk_steps: int64 [C], executed steps of each chunk.
    log_probs: float32 [C, chunk, dimension] of the chosen tokens; [0, 0, 0] where none are known.
    The trajectory's joints and actions keep float64, because jerk is a third derivative and the
    numbers must come out the same; its tool poses and substep joints are float32.
    """

    policy: str
    request: EpisodeRequest
    success: bool
    trajectory: Trajectory
    chunk_steps: np.ndarray
    log_probs: np.ndarray

    @classmethod
    def of(cls, episode: Episode, policy: str) -> StoredEpisode:
        """Keep what is needed of `episode`, in the precision of the file."""
        source = episode.trajectory
        chunks = episode.chunks
        return cls(
            policy=policy,
            request=episode.request,
            success=bool(episode.success),
            trajectory=Trajectory(
                actions=np.asarray(source.actions, np.float64),
                joint_positions=np.asarray(source.joint_positions, np.float64),
                joint_velocities=np.asarray(source.joint_velocities, np.float32),
                tool_positions=np.asarray(source.tool_positions, np.float32),
                tool_rotations=np.asarray(source.tool_rotations, np.float32),
                substep_joint_positions=np.asarray(source.substep_joint_positions, np.float32),
                control_period_s=float(source.control_period_s),
                substep_period_s=float(source.substep_period_s),
            ),
            chunk_steps=np.array([chunk.executed for chunk in chunks], np.int64),
            log_probs=np.array([chunk.log_probs for chunk in chunks], np.float32)
            if chunks
            else np.zeros((0, 0, 0), np.float32),
        )

    @property
    def seams(self) -> np.ndarray:
        """Control steps after which a new chunk took over, int64 [C - 1]."""
        return np.cumsum(self.chunk_steps)[:-1]


def save(path: Path, episode: StoredEpisode) -> None:
    """Write one episode to `path` (.npz, compressed), whole or not at all."""
    request, trajectory = episode.request, episode.trajectory
    horizon = -1 if request.horizon is None else request.horizon
    with new_file(path) as temporary, temporary.open('wb') as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            policy=episode.policy,
            episode_id=request.episode_id,
            suite=request.name.suite,
            task=request.name.task,
            init_state=request.name.init_state,
            scene_seed=request.name.scene_seed,
            group=request.group,
            temperature=request.temperature,
            seed=request.seed,
            policy_version=request.policy_version,
            attempt=request.attempt,
            horizon=horizon,
            success=episode.success,
            chunk_steps=episode.chunk_steps,
            log_probs=episode.log_probs,
            **{name: getattr(trajectory, name) for name in _ARRAYS + _PERIODS},
        )


def load(path: Path) -> StoredEpisode:
    """Read one episode. Raises UserError naming a missing, damaged or newer file."""
    try:
        values = read_arrays(path)
    except DamagedArchive as error:
        raise UserError(
            f'episode {path} cannot be read ({error}); delete it and evaluate again'
        ) from error
    if int(values.get('format', -1)) != FORMAT:
        raise UserError(f'episode {path} has an unknown format; read it with a matching version')
    try:
        horizon = int(values['horizon'])
        request = EpisodeRequest(
            episode_id=str(values['episode_id']),
            name=EpisodeName(
                str(values['suite']),
                int(values['task']),
                int(values['init_state']),
                int(values['scene_seed']),
            ),
            group=int(values['group']),
            temperature=float(values['temperature']),
            seed=int(values['seed']),
            policy_version=int(values['policy_version']),
            attempt=int(values['attempt']),
            horizon=None if horizon < 0 else horizon,
        )
        trajectory = Trajectory(
            **{name: values[name] for name in _ARRAYS},
            control_period_s=float(values['control_period_s']),
            substep_period_s=float(values['substep_period_s']),
        )
        return StoredEpisode(
            policy=str(values['policy']),
            request=request,
            success=bool(values['success']),
            trajectory=trajectory,
            chunk_steps=values['chunk_steps'],
            log_probs=values['log_probs'],
        )
    except KeyError as error:
        raise UserError(f'episode {path} lacks {error}; delete it and evaluate again') from error
