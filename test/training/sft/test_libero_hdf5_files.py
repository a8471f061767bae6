"""LIBERO's HDF5 files come in upright and complete, whoever wrote them, or are named."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from demonstration_files import STEPS, change_hdf5, check_upright, frames_of, read, write_hdf5
from sft_data import episode

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes


@pytest.mark.parametrize(('writer', 'first'), [('libero', 6), ('regenerated', 0)])
def test_libero_hdf5(tmp_path: Path, writer: str, first: int):
    """What is seen at a step is paired with the action that follows it, whoever wrote the file."""
    write_hdf5(tmp_path / 'OPEN_SCENE1_open_the_drawer_demo.hdf5', writer)
    demonstrations = read(tmp_path)
    assert len(demonstrations) == 2
    demonstration, source = demonstrations[0], episode(steps=STEPS)
    assert demonstration.instruction == 'open the drawer'
    assert demonstration.image_steps.tolist() == list(range(0, STEPS - first, 4))
    steps = demonstration.image_steps + first
    check_upright(demonstration.images['agentview'], steps)
    check_upright(demonstration.images['wrist'], steps)
    count = len(demonstration.actions)
    assert np.array_equal(demonstration.actions, source.actions[first:])
    assert np.array_equal(demonstration.joint_positions[:count], source.joint_positions[first:-1])
    assert np.array_equal(
        demonstration.gripper_positions[:count], source.gripper_positions[first:-1]
    )


@pytest.mark.parametrize('convention', ['opengl', 'opencv'])
def test_hdf5_says_itself_which_row_of_an_image_comes_first(tmp_path: Path, convention: str):
    """Where robosuite is set to opencv, LIBERO's writer says so, and the images are upright."""
    path = tmp_path / 'a_demo.hdf5'
    write_hdf5(path, 'regenerated')
    if convention == 'opencv':
        change_hdf5(path, 'obs/agentview_rgb', lambda images: images[:, ::-1])
    with h5py.File(path, 'r+') as file:
        file['data'].attrs['macros_image_convention'] = convention
    demonstration = read(path)[1]
    check_upright(demonstration.images['agentview'], demonstration.image_steps)


@pytest.mark.parametrize(('writer', 'first'), [('libero', 6), ('regenerated', 0)])
def test_libero_hdf5_velocities(tmp_path: Path, writer: str, first: int):
    """Velocities are the last step's motion: LIBERO's files begin in motion, others at rest."""
    write_hdf5(tmp_path / 'a_demo.hdf5', writer)
    demonstration = read(tmp_path)[0]
    positions = episode(steps=STEPS).joint_positions
    moved = np.diff(positions, axis=0, prepend=positions[:1])
    count = len(demonstration.actions)
    velocities = demonstration.joint_velocities[:count]
    assert np.allclose(velocities * 0.05, moved[first : first + count], atol=1e-12)


def test_hdf5_of_an_unknown_order_is_refused(tmp_path: Path):
    """Joints that fit the states neither before nor after the actions leave the pairing unknown."""
    write_hdf5(tmp_path / 'a_demo.hdf5', 'other')
    with pytest.raises(UserError, match=r'a_demo\.hdf5:demo_0.*neither before nor after'):
        read(tmp_path)


@pytest.mark.parametrize(
    ('array', 'remedy'),
    [
        ('obs/eye_in_hand_rgb', 'record it with images'),
        ('states', 'say image_moment=before or after'),
    ],
)
def test_hdf5_without_an_array_is_named(tmp_path: Path, array: str, remedy: str):
    """The array that is missing and what to do; without states the pairing is not known."""
    write_hdf5(tmp_path / 'a_demo.hdf5', leave_out=array)
    with pytest.raises(UserError, match=rf'a_demo\.hdf5:demo_0: no array {array!r}.*{remedy}$'):
        read(tmp_path)


@pytest.mark.parametrize(
    ('writer', 'moment', 'first'), [('regenerated', 'before', 0), ('libero', 'after', 7)]
)
def test_hdf5_without_states_is_read_as_it_is_said(
    tmp_path: Path, writer: str, moment: str, first: int
):
    """The pairing is the one that is stated; after an action, the first speed is unknown."""
    write_hdf5(tmp_path / 'a_demo.hdf5', writer, leave_out='states')
    episodes = read_episodes([tmp_path], LeRobotNames(), 4, image_moment=moment)
    demonstration, source = next(episodes), episode(steps=STEPS)
    check_upright(demonstration.images['agentview'], demonstration.image_steps + first)
    count = len(demonstration.actions)
    positions = source.joint_positions
    moved = np.diff(positions, axis=0, prepend=positions[:1])[first:-1]
    assert np.array_equal(demonstration.actions, source.actions[first:])
    assert np.array_equal(demonstration.joint_positions[:count], positions[first:-1])
    assert np.allclose(demonstration.joint_velocities[:count] * 0.05, moved, atol=1e-12)
    fingers = demonstration.gripper_positions[:count]
    assert np.array_equal(fingers, source.gripper_positions[first:-1])


@pytest.mark.parametrize(('writer', 'moment'), [('libero', 'before'), ('regenerated', 'after')])
def test_states_are_not_overruled(tmp_path: Path, writer: str, moment: str):
    """A folder may hold files with and without states: what a file itself tells stays."""
    write_hdf5(tmp_path / 'a_demo.hdf5', writer)
    told = next(read_episodes([tmp_path], LeRobotNames(), 4, image_moment=moment))
    assert np.array_equal(told.actions, read(tmp_path)[0].actions)


def test_hdf5_of_dark_floats_is_refused(tmp_path: Path):
    """Images in [0, 1] had trained as black; the file and the demonstration are named."""
    write_hdf5(tmp_path / 'a_demo.hdf5')
    assert len(frames_of(tmp_path)) == 8
    change_hdf5(tmp_path / 'a_demo.hdf5', 'obs/agentview_rgb', lambda a: np.float32(a) / 255)
    named = r'a_demo\.hdf5:demo_1: images of agentview are float32 \[4, 32, 32, 3\], training needs'
    with pytest.raises(UserError, match=named):
        frames_of(tmp_path)


@pytest.mark.parametrize(
    ('array', 'change', 'named'),
    [
        ('actions', lambda a: a[:-6], 'obs/joint_states has 15 rows for 9 actions'),
        (
            'actions',
            lambda a: np.concatenate([a, a]),
            'obs/joint_states has 15 rows for 30 actions',
        ),
        ('obs/gripper_states', lambda a: a[:-1], 'obs/gripper_states has 14 rows for 15 actions'),
        ('obs/agentview_rgb', lambda a: a[:-1], 'obs/agentview_rgb has 14 rows for 15 actions'),
        ('obs/gripper_states', lambda a: a[:, 0], r'gripper_positions is float64 \[15\], '),
        ('states', lambda a: a[:, :6], r"'states' is \[15, 6\] and .*columns 1 to n"),
        ('states', lambda a: a[:, 0], r"'states' is \[15\] and .*columns 1 to n"),
        ('obs/joint_states', lambda a: a[:, 0], r"'obs/joint_states' \[15\], but must be"),
    ],
)
def test_hdf5_of_wrong_lengths_is_named(tmp_path: Path, array: str, change, named: str):
    """Rows that do not belong to each other: the file, the demonstration and the array."""
    write_hdf5(tmp_path / 'a_demo.hdf5')
    change_hdf5(tmp_path / 'a_demo.hdf5', array, change)
    with pytest.raises(UserError, match=rf'a_demo\.hdf5:demo_1: .*{named}'):
        frames_of(tmp_path)


def test_hdf5_may_be_called_h5(tmp_path: Path):
    """The other name of the format is read as well, a file of it and a folder of them."""
    path = tmp_path / 'open_the_drawer.h5'
    write_hdf5(path)
    assert len(read(path)) == len(read(tmp_path)) == 2


@pytest.mark.parametrize('mark', [b'TREE', b'HEAP', b'SNOD'])
def test_damaged_hdf5_is_named(tmp_path: Path, mark: bytes):
    """A flipped bit in the file's own bookkeeping is one line, whatever the library calls it."""
    path = tmp_path / 'a_demo.hdf5'
    write_hdf5(path)
    content = path.read_bytes()
    place = content.rindex(mark)
    path.write_bytes(content[:place] + b'?' + content[place + 1 :])
    with pytest.raises(UserError, match=r'a_demo\.hdf5 is damaged .*; copy it again'):
        read(tmp_path)
