"""Demonstrations of several kinds, beside each other and of one's own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from demonstration_files import frames_of, lerobot_at, read, write_hdf5
from sft_data import episode, own_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes


def test_own_images_of_another_shape_are_refused(tmp_path: Path):
    """An archive of ours with the channels first: the file, the camera and the shape."""
    good = episode()
    images = {**good.images, 'wrist': good.images['wrist'].transpose(0, 3, 1, 2)}
    path = own_file(tmp_path / 'a.npz', replace(good, images=images), 0, 0)
    with pytest.raises(UserError, match=rf'^{path}: images of wrist are uint8 \[5, 3, 32, 32\],'):
        frames_of(tmp_path)


def test_a_folder_of_two_kinds_is_refused(tmp_path: Path):
    """The .npz files beside HDF5 were never opened; given one by one, both are read."""
    write_hdf5(tmp_path / 'a_demo.hdf5')
    (tmp_path / 'own').mkdir()
    own = own_file(tmp_path / 'own' / 'one.npz', episode(), 0, 0)
    named = rf'^data={tmp_path} holds .*a_demo\.hdf5 .*{own}.*; give each kind a folder of its own'
    with pytest.raises(UserError, match=named):
        read(tmp_path)
    paths = [tmp_path / 'a_demo.hdf5', tmp_path / 'own']
    assert len(list(read_episodes(paths, LeRobotNames(), 4))) == len(read(paths[0])) + 1


def test_arrays_beside_hdf5_are_no_demonstrations(tmp_path: Path):
    """Statistics that others keep beside their data; a damaged file may be a demonstration."""
    write_hdf5(tmp_path / 'a_demo.hdf5')
    alone = len(read(tmp_path))
    np.savez(tmp_path / 'norm_stats.npz', mean=np.zeros(7), actions=np.ones(7))
    assert len(read(tmp_path)) == alone
    (tmp_path / 'half.npz').write_bytes(b'PK')
    with pytest.raises(UserError, match=r'whole or damaged \(.*half\.npz is one\)'):
        read(tmp_path)


@pytest.mark.parametrize('kind', ['hdf5', 'npz'])
@pytest.mark.parametrize(
    ('name', 'value', 'option'),
    [
        ('control_period_s', 0.1, 'control_period_s=0.1'),
        ('action_feature', 'actions', 'action_feature=actions'),
        ('gripper_feature', 'grip', 'gripper_feature=grip'),
    ],
)
def test_options_of_lerobot_are_refused_without_such_a_data_set(
    tmp_path: Path, kind: str, name: str, value: float | str, option: str
):
    """They had no effect on the other formats, whose period is the policy's."""
    if kind == 'hdf5':
        write_hdf5(tmp_path / 'a_demo.hdf5')
    else:
        own_file(tmp_path / 'one.npz', episode(), 0, 0)
    with pytest.raises(UserError, match=f'^{option} .* no LeRobot .*{tmp_path}.*leave it out'):
        read(tmp_path, LeRobotNames(**{name: value}))


def test_options_of_lerobot_hold_for_the_data_set_among_others(tmp_path: Path):
    """HDF5 files beside a data set that they are meant for are no contradiction."""
    lerobot_at(tmp_path / 'lerobot', 10)
    write_hdf5(tmp_path / 'a_demo.hdf5')
    paths = [tmp_path / 'a_demo.hdf5', tmp_path / 'lerobot']
    names = LeRobotNames(control_period_s=0.1)
    assert len(list(read_episodes(paths, names, 4))) == len(read(paths[0])) + 2


@pytest.mark.parametrize('content', [None, 'empty'])
def test_a_path_without_demonstrations_is_named(tmp_path: Path, content: str | None):
    """A path that is not there, and a folder with nothing in it."""
    path = tmp_path / 'data'
    if content == 'empty':
        path.mkdir()
    with pytest.raises(UserError, match='data'):
        read(path)
