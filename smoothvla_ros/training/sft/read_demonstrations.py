"""Demonstrations of any known kind, as one stream of episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ARM_JOINTS, CONTROL_PERIOD_S
from smoothvla_ros.simulation.demonstrations import may_be_demonstration
from smoothvla_ros.training.sft.config import UNKNOWN
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames, read_lerobot
from smoothvla_ros.training.sft.libero_hdf5 import read_libero_hdf5
from smoothvla_ros.training.sft.own_demonstrations import read_own

# What HDF5 files are called.
_HDF5 = ('.hdf5', '.h5')


def read_episodes(
    paths: Sequence[Path],
    lerobot_names: LeRobotNames,
    image_stride: int,
    joints: int = ARM_JOINTS,
    image_moment: str = UNKNOWN,
) -> Iterator[DemonstrationEpisode]:
    """Yield every demonstration under `paths`, each path of whichever kind it is.

    A folder of our own demonstrations (.npz), HDF5 files of LIBERO's layout (one, or a folder of
    them), or a LeRobot dataset (a folder with meta/info.json). image_stride: of the last two, which
    hold an image every step, every n-th is used. joints: of the arm, for a LeRobot dataset, whose
    columns after them are the gripper's.
    image_moment: of HDF5 files without states, as `read_libero_hdf5` has it.
    Raises UserError for a path that is none of these or a folder of two kinds, naming one that is
    damaged, and for names and a period of LeRobot's where no path is a LeRobot dataset.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f'data={path} does not exist; make some with `smoothvla demos`')
    if not any(map(_is_lerobot, paths)):
        _refuse_given(lerobot_names, paths)
    for path in paths:
        episodes = _read_one(path, lerobot_names, image_stride, joints, image_moment)
        yield from tqdm(episodes, desc=str(path), unit=' episodes')


def _read_one(
    path: Path, lerobot_names: LeRobotNames, image_stride: int, joints: int, image_moment: str
) -> Iterator[DemonstrationEpisode]:
    if _is_lerobot(path):
        return _whole(path, read_lerobot(path, lerobot_names, image_stride, joints))
    files = [path] if path.is_file() else sorted(path.rglob('*'))
    hdf5 = [file for file in files if file.suffix in _HDF5]
    own = [file for file in files if file.suffix == '.npz']
    if hdf5:
        # Beside data sets of others lie arrays of their own, statistics for example.
        for file in filter(may_be_demonstration, own):
            raise UserError(
                f'data={path} holds HDF5 files ({hdf5[0]} is one) and demonstrations of ours, '
                f'whole or damaged ({file} is one); give each kind a folder of its own'
            )
        return chain.from_iterable(
            _whole(file, read_libero_hdf5([file], image_stride, image_moment)) for file in hdf5
        )
    if own:
        return read_own(own)
    raise UserError(
        f"data={path} holds no demonstrations: no .npz of ours, no .hdf5 or .h5 of LIBERO's "
        'layout, and no LeRobot meta/info.json'
    )


def _is_lerobot(path: Path) -> bool:
    return (path / 'meta' / 'info.json').is_file()


def _refuse_given(names: LeRobotNames, paths: Sequence[Path]) -> None:
    """Raise UserError for a name or a period that differs from its default."""
    for field in dataclasses.fields(names):
        value = getattr(names, field.name)
        if value != field.default:
            places = ', '.join(map(str, paths))
            raise UserError(
                f'{field.name}={value} has no effect: there is no LeRobot data set '
                f'(meta/info.json) at data={places}, and the other formats have a step every '
                f'{CONTROL_PERIOD_S} s and names of their own; leave it out'
            )


def _whole(path: Path, episodes: Iterator[DemonstrationEpisode]) -> Iterator[DemonstrationEpisode]:
    """Yield the episodes of a format of others, whose libraries name no file when it is damaged."""
    try:
        yield from episodes
    except (OSError, RuntimeError, ValueError, LookupError, TypeError) as error:
        reason = ' '.join(str(error).split())[:200]
        raise UserError(
            f'data={path} is damaged or incomplete ({type(error).__name__}: {reason}); copy it '
            'again'
        ) from error
