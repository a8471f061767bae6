"""Each kind of demonstration on disk comes in upright, complete and with its instruction."""

import io
import json
from dataclasses import replace
from pathlib import Path

import h5py
import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sft_data import episode, own_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes

RATE_HZ = 20
STEPS = 20


def red_top(count: int = STEPS, size: int = 32) -> np.ndarray:
    """Return images whose upper half is red and whose brightness counts the steps."""
    images = np.zeros((count, size, size, 3), np.uint8)
    images[:, : size // 2, :, 0] = 255
    images[:, size // 2 :, :, 2] = 10 * np.arange(count)[:, None, None]
    return images


def check_upright(images: np.ndarray, steps: np.ndarray) -> None:
    """Raise unless the images are those of `red_top` at the given steps."""
    assert images.shape[1:] == (32, 32, 3)
    assert (images[:, 4, :, 0] > 200).all()
    assert (images[:, 28, :, 0] < 60).all()
    blue = images[:, 28, 16, 2].astype(int)
    assert np.abs(blue - 10 * steps).max() < 5


def read(path: Path, names: LeRobotNames | None = None) -> list:
    """Return all demonstrations at a path, every fourth image of them."""
    return list(read_episodes([path], names or LeRobotNames(), 4))


def write_hdf5(path: Path, writer: str = 'libero', leave_out: str = '') -> None:
    """Write two demonstrations, images upside down, without the array `leave_out`.

    As LIBERO does, each action's row is what was seen after it, and the first five rows are left
    out; as regenerated files do, what was seen before it, with an older state in the first row;
    any other: states that follow what was seen.
    """
    source = episode(steps=STEPS)
    # The world before each action and after the last; joints, fingers, then the rest.
    joints, fingers = source.joint_positions, source.gripper_positions
    states = np.hstack([np.arange(STEPS + 1)[:, None] / RATE_HZ, joints, fingers, joints * 0])
    images = red_top(STEPS + 1)[:, ::-1]
    first, seen = (5, 1) if writer == 'libero' else (0, 0)
    rows = np.arange(first, STEPS)
    arrays = {
        'actions': source.actions.astype(np.float64)[rows],
        'states': states[rows],
        'obs/agentview_rgb': images[rows + seen],
        'obs/eye_in_hand_rgb': images[rows + seen],
        'obs/joint_states': joints[rows + seen],
        'obs/gripper_states': fingers[rows + seen],
    }
    if writer == 'regenerated':
        arrays['states'][0, 1:8] += 0.1
    if writer == 'other':
        arrays['states'] = states[rows + 1]
    with h5py.File(path, 'w') as file:
        data = file.create_group('data')
        data.attrs['problem_info'] = json.dumps({'language_instruction': ['open', 'the drawer']})
        for name in ('demo_0', 'demo_1'):
            demo = data.create_group(name)
            for array, values in arrays.items():
                if array != leave_out:
                    demo[array] = values


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
        ('states', 'say --image-moment before or after'),
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


def frames_of(path: Path) -> FrameSet:
    """Return the training rows of all demonstrations at a path."""
    return FrameSet(
        read(path), arm=Arm.panda(), cameras=('agentview', 'wrist'), image_size=32, chunk=8
    )


def change_hdf5(path: Path, name: str, change) -> None:
    """Replace one array of the second demonstration of a file, or write one that it has not."""
    with h5py.File(path, 'r+') as file:
        demo = file['data/demo_1']
        values = change(demo[name][()])
        del demo[name]
        demo[name] = values


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


def test_own_images_of_another_shape_are_refused(tmp_path: Path):
    """An archive of ours with the channels first: the file, the camera and the shape."""
    good = episode()
    images = {**good.images, 'wrist': good.images['wrist'].transpose(0, 3, 1, 2)}
    path = own_file(tmp_path / 'a.npz', replace(good, images=images), 0, 0)
    with pytest.raises(UserError, match=rf'^{path}: images of wrist are uint8 \[5, 3, 32, 32\],'):
        frames_of(tmp_path)


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


def write_lerobot(folder: Path, version: int, video: bool, state_names: list[str]) -> None:
    """Write two episodes in LeRobot's layout; in version 3 both share one file."""
    features = {
        'observation.state': {'dtype': 'float32', 'shape': [9], 'names': state_names},
        'action': {'dtype': 'float32', 'shape': [7], 'names': None},
    }
    cameras = ('observation.images.image', 'observation.images.wrist_image')
    for camera in cameras:
        kind = 'video' if video else 'image'
        features[camera] = {'dtype': kind, 'shape': [32, 32, 3], 'names': None}
    packed = version == 3
    info = {
        'codebase_version': f'v{version}.0',
        'fps': RATE_HZ,
        'total_episodes': 2,
        'chunks_size': 1000,
        'features': features,
        'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet'
        if packed
        else 'data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet',
        'video_path': 'videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4'
        if packed
        else 'videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4',
    }
    (folder / 'meta').mkdir(parents=True)
    (folder / 'meta' / 'info.json').write_text(json.dumps(info))
    tables = [lerobot_table(index, cameras if not video else ()) for index in range(2)]
    if packed:
        write_table(folder / 'data/chunk-000/file-000.parquet', pa.concat_tables(tables))
        entries = [{'episode_index': index} for index in range(2)]
        for index, entry in enumerate(entries):
            for camera in cameras:
                entry[f'videos/{camera}/from_timestamp'] = index * STEPS / RATE_HZ
        write_table(folder / 'meta/episodes/chunk-000/file-000.parquet', pa.table(columns(entries)))
        write_table(
            folder / 'meta/tasks.parquet',
            pa.table({'task_index': [0], '__index_level_0__': ['open the drawer']}),
        )
    else:
        for index, table in enumerate(tables):
            write_table(folder / f'data/chunk-000/episode_{index:06d}.parquet', table)
        (folder / 'meta' / 'tasks.jsonl').write_text('{"task_index": 0, "task": "open the drawer"}')
    for camera in cameras if video else ():
        if packed:
            write_video(folder / f'videos/{camera}/chunk-000/file-000.mp4', 2)
        else:
            for index in range(2):
                write_video(folder / f'videos/chunk-000/{camera}/episode_{index:06d}.mp4', 1)


def lerobot_table(index: int, image_cameras: tuple[str, ...]) -> pa.Table:
    """Return one episode's rows: state is 7 joints and 2 fingers."""
    source = episode(index, steps=STEPS)
    state = np.hstack([source.joint_positions, source.gripper_positions])[:STEPS]
    rows = {
        'observation.state': state.astype(np.float32).tolist(),
        'action': source.actions.tolist(),
        'episode_index': [index] * STEPS,
        'task_index': [0] * STEPS,
    }
    for camera in image_cameras:
        rows[camera] = [{'bytes': encode_png(image), 'path': None} for image in red_top()]
    return pa.table(rows)


def encode_png(image: np.ndarray) -> bytes:
    """Return a PNG file's content."""
    buffer = io.BytesIO()
    iio.imwrite(buffer, image, extension='.png')
    return buffer.getvalue()


def write_table(path: Path, table: pa.Table) -> None:
    """Write a parquet file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def write_video(path: Path, repeats: int) -> None:
    """Write `red_top` some times over as a nearly lossless video."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = imageio_ffmpeg.write_frames(
        str(path), (32, 32), fps=RATE_HZ, codec='libx264', output_params=['-crf', '1', '-g', '7']
    )
    writer.send(None)
    for image in np.tile(red_top(), (repeats, 1, 1, 1)):
        writer.send(np.ascontiguousarray(image))
    writer.close()


def columns(rows: list[dict]) -> dict[str, list]:
    """Return rows as columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}


JOINT_NAMES = [f'joint_{i}' for i in range(7)] + ['finger_left', 'finger_right']


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
    with pytest.raises(UserError, match='--joint-feature'):
        read(tmp_path)
    assert len(read(tmp_path, LeRobotNames(joint_feature='observation.state'))) == 2


def lerobot_at(folder: Path, fps: float) -> None:
    """Write a LeRobot data set that says it has `fps` steps a second."""
    write_lerobot(folder, 2, False, JOINT_NAMES)
    path = folder / 'meta' / 'info.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'fps': fps}))


@pytest.mark.parametrize('fps', [10, 30])
def test_lerobot_at_another_rate_is_refused(tmp_path: Path, fps: float):
    """Taken for 20 Hz its velocities and its pace would be wrong: fps, period and remedy."""
    lerobot_at(tmp_path, fps)
    with pytest.raises(UserError, match=rf'fps={fps}.*0\.05 s.*--control-period-s'):
        read(tmp_path)


@pytest.mark.parametrize(('fps', 'period_s'), [(10, 0.05), (30, 1 / 30), (20, None)])
def test_lerobot_velocities_are_over_the_period(tmp_path: Path, fps: float, period_s: float | None):
    """A period that is given overrules what the data set says; otherwise both must agree."""
    lerobot_at(tmp_path, fps)
    demonstration = read(tmp_path, LeRobotNames(control_period_s=period_s))[0]
    moved = np.diff(demonstration.joint_positions, axis=0)
    assert np.allclose(demonstration.joint_velocities[1:] * (period_s or 0.05), moved)


def test_a_folder_of_two_kinds_is_refused(tmp_path: Path):
    """The .npz files beside HDF5 were never opened; given one by one, both are read."""
    write_hdf5(tmp_path / 'a_demo.hdf5')
    (tmp_path / 'own').mkdir()
    own = own_file(tmp_path / 'own' / 'one.npz', episode(), 0, 0)
    named = (
        rf'^--data {tmp_path} holds .*a_demo\.hdf5 .*{own}.*; give each kind a --data of its own'
    )
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
        ('control_period_s', 0.1, '--control-period-s 0.1'),
        ('action_feature', 'actions', '--action-feature actions'),
        ('gripper_feature', 'grip', '--gripper-feature grip'),
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
