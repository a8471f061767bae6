"""Demonstrations as LIBERO and LeRobot keep them on disk, and what is in them."""

import io
import json
from pathlib import Path

import h5py
import imageio.v3 as iio
import imageio_ffmpeg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sft_data import episode

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.lerobot_dataset import LeRobotNames
from smoothvla_ros.training.sft.read_demonstrations import read_episodes

RATE_HZ = 20
STEPS = 20
JOINT_NAMES = [f'joint_{i}' for i in range(7)] + ['finger_left', 'finger_right']


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


def lerobot_at(folder: Path, fps: float) -> None:
    """Write a LeRobot data set that says it has `fps` steps a second."""
    write_lerobot(folder, 2, False, JOINT_NAMES)
    path = folder / 'meta' / 'info.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'fps': fps}))
