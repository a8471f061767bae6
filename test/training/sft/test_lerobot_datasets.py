"""A LeRobot data set comes in upright, complete and with its instruction, or is named."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from demonstration_files import (
    JOINT_NAMES,
    STEPS,
    check_upright,
    encode_png,
    frames_of,
    lerobot_at,
    read,
    red_top,
    write_lerobot,
    write_table,
)
from sft_data import episode

from smoothvla_ros.errors import UserError
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes


@pytest.mark.parametrize(
    ('change', 'found'),
    [
        (lambda image: image[..., 0], r'uint8 \[5, 32, 32\]'),
        (lambda image: np.uint16(image[..., 0]) * 257, r'uint16 \[5, 32, 32\]'),
    ],
)
def test_grey_lerobot_images_are_refused(tmp_path: Path, change, found: str):
    """Three columns of a grey image are no colours: the episode, the camera and the shape."""
    write_lerobot(tmp_path, 2, False, JOINT_NAMES)
    path = tmp_path / 'data/chunk-000/episode_000001.parquet'
    table, name = pq.read_table(path), 'observation.images.image'
    cells = [{'bytes': encode_png(change(image)), 'path': None} for image in red_top()]
    write_table(path, table.set_column(table.column_names.index(name), name, [cells]))
    with pytest.raises(UserError, match=rf':episode 1: images of agentview are {found}, training'):
        frames_of(tmp_path)


@pytest.mark.parametrize(
    ('cell', 'said'),
    [
        (None, 'has no image in row 8'),
        ({'bytes': None, 'path': None}, 'has no image in row 8'),
        ({'bytes': b'', 'path': ''}, 'has no image in row 8'),
        ({'bytes': None, 'path': 'images/8.png'}, r'cannot be read in row 8: .*images/8\.png'),
        ({'bytes': b'nonsense', 'path': None}, 'cannot be read in row 8: '),
    ],
)
@pytest.mark.parametrize('version', [2, 3])
def test_an_image_that_is_missing_from_a_lerobot_table_is_named(
    tmp_path: Path, version: int, cell: dict | None, said: str
):
    """One cell of one episode: the file, the column, the row and what to do."""
    write_lerobot(tmp_path, version, False, JOINT_NAMES)
    file = 'episode_000001' if version == 2 else 'file-000'
    path, name = tmp_path / f'data/chunk-000/{file}.parquet', 'observation.images.wrist_image'
    table = pq.read_table(path)
    cells = table[name].to_pylist()
    cells[-STEPS + 8] = cell
    write_table(path, table.set_column(table.column_names.index(name), name, [cells]))
    place = rf'^{path}: {name} of episode 1'
    with pytest.raises(UserError, match=rf'{place} {said}.*; copy .* or leave that episode out$'):
        read(tmp_path)


@pytest.mark.parametrize('name', ['action', 'observation.state'])
def test_a_row_of_numbers_that_is_missing_from_a_lerobot_table_is_named(tmp_path: Path, name: str):
    """Null in a column of lists is no row of the matrix that it is read as."""
    write_lerobot(tmp_path, 2, False, JOINT_NAMES)
    path = tmp_path / 'data/chunk-000/episode_000001.parquet'
    table = pq.read_table(path)
    rows = table[name].to_pylist()
    rows[3] = None
    write_table(path, table.set_column(table.column_names.index(name), name, [rows]))
    with pytest.raises(UserError, match=rf'^{path}: {name} of episode 1 has nothing in row 3;'):
        read(tmp_path)


def test_images_that_are_missing_as_a_column_are_named(tmp_path: Path):
    """Of a feature that info.json has and the table has not."""
    write_lerobot(tmp_path, 2, False, JOINT_NAMES)
    path = tmp_path / 'data/chunk-000/episode_000001.parquet'
    write_table(path, pq.read_table(path).drop_columns(['observation.images.image']))
    with pytest.raises(UserError, match=rf"^{path}: no column 'observation\.images\.image'; there"):
        read(tmp_path)


@pytest.mark.parametrize(('version', 'video'), [(2, False), (2, True), (3, False), (3, True)])
def test_lerobot(tmp_path: Path, version: int, video: bool):
    """Versions 2 and 3, with images in the table and as video: the second episode is its own."""
    write_lerobot(tmp_path, version, video, JOINT_NAMES)
    demonstrations = read(tmp_path)
    assert len(demonstrations) == 2
    demonstration, source = demonstrations[1], episode(1, steps=STEPS)
    assert demonstration.instruction == 'open the drawer'
    assert np.allclose(demonstration.actions, source.actions)
    assert np.allclose(demonstration.joint_positions, source.joint_positions[:STEPS], atol=1e-6)
    assert np.allclose(demonstration.gripper_positions[0], [0.04, -0.04])
    for images in demonstration.images.values():
        check_upright(images, demonstration.image_steps)


def test_lerobot_of_an_arm_of_six_joints(tmp_path: Path):
    """The columns after the arm's joints are the gripper's, here one opening, not a seventh joint.

    More joints than columns are refused: the arm is another one.
    """
    write_lerobot(tmp_path, 2, False, JOINT_NAMES)
    for path in tmp_path.glob('data/*/*.parquet'):
        table = pq.read_table(path)
        state = np.array(table['observation.state'].to_pylist())[:, :7]
        column = table.column_names.index('observation.state')
        state[:, 6] = 0.08
        write_table(path, table.set_column(column, 'observation.state', [state.tolist()]))
    info = tmp_path / 'meta' / 'info.json'
    info.write_text(info.read_text().replace('"shape": [9]', '"shape": [7]'))
    demonstration = next(read_episodes([tmp_path], LeRobotNames(), 4, 6))
    source = episode(0, steps=STEPS)
    assert np.allclose(demonstration.joint_positions, source.joint_positions[:STEPS, :6], atol=1e-6)
    assert demonstration.joint_velocities.shape == (STEPS, 6)
    assert np.allclose(demonstration.gripper_positions, [0.04, -0.04])
    names = LeRobotNames(joint_feature='observation.state')
    with pytest.raises(UserError, match=r'observation\.state has 7 columns, and the arm 8 joints'):
        list(read_episodes([tmp_path], names, 4, 8))


def test_lerobot_with_a_tool_pose_says_what_is_missing(tmp_path: Path):
    """A data set without joints is refused with the remedy, and can be overruled by name."""
    names = ['x', 'y', 'z', 'rx', 'ry', 'rz', 'g', 'h', 'i']
    write_lerobot(tmp_path, 2, False, names)
    with pytest.raises(UserError, match='joint_feature='):
        read(tmp_path)
    assert len(read(tmp_path, LeRobotNames(joint_feature='observation.state'))) == 2


@pytest.mark.parametrize('fps', [10, 30])
def test_lerobot_at_another_rate_is_refused(tmp_path: Path, fps: float):
    """Taken for 20 Hz its velocities and its pace would be wrong: fps, period and remedy."""
    lerobot_at(tmp_path, fps)
    with pytest.raises(UserError, match=rf'fps={fps}.*0\.05 s.*control_period_s=0\.05'):
        read(tmp_path)


@pytest.mark.parametrize(('fps', 'period_s'), [(10, 0.05), (30, 1 / 30), (20, None)])
def test_lerobot_velocities_are_over_the_period(tmp_path: Path, fps: float, period_s: float | None):
    """A period that is given overrules what the data set says; otherwise both must agree."""
    lerobot_at(tmp_path, fps)
    demonstration = read(tmp_path, LeRobotNames(control_period_s=period_s))[0]
    moved = np.diff(demonstration.joint_positions, axis=0)
    assert np.allclose(demonstration.joint_velocities[1:] * (period_s or 0.05), moved)


def change_features(folder: Path, change) -> None:
    """Change the features that a data set says it has."""
    path = folder / 'meta' / 'info.json'
    info = json.loads(path.read_text())
    change(info['features'])
    path.write_text(json.dumps(info))


@pytest.mark.parametrize('grouped', [False, True])
def test_joints_after_a_tool_pose_are_found_by_the_names_of_their_columns(
    tmp_path: Path, grouped: bool
):
    """A state of pose, joints and fingers: its first columns had been taken for the joints."""
    names = [*('x', 'y', 'z', 'roll', 'pitch', 'yaw'), *JOINT_NAMES]
    write_lerobot(tmp_path, 2, False, {'motors': names} if grouped else names)
    change_features(tmp_path, lambda features: features['observation.state'].update(shape=[15]))
    for path in tmp_path.glob('data/*/*.parquet'):
        table = pq.read_table(path)
        rows = [[0.1] * 6 + row for row in table['observation.state'].to_pylist()]
        column = table.column_names.index('observation.state')
        write_table(path, table.set_column(column, 'observation.state', [rows]))
    demonstration, source = read(tmp_path)[0], episode(0, steps=STEPS)
    assert np.allclose(demonstration.joint_positions, source.joint_positions[:STEPS], atol=1e-6)
    assert np.allclose(demonstration.gripper_positions[0], [0.04, -0.04])


def test_depth_is_not_taken_for_a_camera(tmp_path: Path):
    """Its name may come first; the camera's colours are what is meant."""
    write_lerobot(tmp_path, 2, False, JOINT_NAMES)
    depth = {'dtype': 'image', 'shape': [32, 32, 3], 'names': None}
    change_features(
        tmp_path,
        lambda features: features.update(
            {f'observation.images.{name}': depth for name in ('agent_depth_image', 'wrist_depth')}
        ),
    )
    check_upright(read(tmp_path)[0].images['wrist'], np.arange(0, STEPS, 4))
    check_upright(read(tmp_path)[0].images['agentview'], np.arange(0, STEPS, 4))


def test_a_damaged_video_costs_one_line(tmp_path: Path):
    """The decoder's own pages are left out."""
    write_lerobot(tmp_path, 2, True, JOINT_NAMES)
    for path in tmp_path.glob('videos/*/*/*.mp4'):
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(
        UserError, match=r'episode_000000\.mp4 cannot be decoded: .*again$'
    ) as error:
        read(tmp_path)
    assert len(str(error.value).splitlines()) == 1
