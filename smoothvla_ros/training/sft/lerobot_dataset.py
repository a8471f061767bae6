"""LeRobot datasets, version 2 (a file an episode) and version 3 (episodes packed into files)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from smoothvla_ros.configuration import setting, validate
from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import (
    ACTION_DIMENSION,
    AGENTVIEW,
    ARM_JOINTS,
    CONTROL_PERIOD_S,
    FINGER_SIGNS,
    WRIST,
)
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode
from smoothvla_ros.training.sft.joint_velocities import velocities_from_positions
from smoothvla_ros.training.sft.lerobot_images import REMEDY, decode_images, decode_video

_STATE = 'observation.state'
_CAMERA_WORDS = {
    WRIST: (WRIST, 'eye_in_hand', 'hand', 'image2'),
    AGENTVIEW: (AGENTVIEW, 'top', 'front', 'image'),
}
_NO_COLOURS = ('depth', 'segmentation')


@dataclass(frozen=True)
class LeRobotNames:
    """Which features of a LeRobot dataset are what; empty means: found by their names."""

    agentview_feature: str = setting('', 'image feature of the camera that looks at the scene')
    wrist_feature: str = setting('', 'image feature of the camera on the hand')
    joint_feature: str = setting('', "feature that begins with the arm's joint positions, rad")
    gripper_feature: str = setting(
        '', 'finger positions, m, or one opening; empty: the columns after the joints'
    )
    action_feature: str = setting('action', 'feature of 7 columns: tool-pose delta and gripper')
    control_period_s: float | None = setting(
        None,
        'time between two steps, s; empty: 0.05, and the data set must say the same',
        minimum=1e-4,
    )

    def __post_init__(self) -> None:
        validate(self, 'LeRobot names')


def read_lerobot(
    folder: Path, names: LeRobotNames, image_stride: int, joints: int = ARM_JOINTS
) -> Iterator[DemonstrationEpisode]:
    """Yield the episodes of a dataset, an image every `image_stride` steps.

    joints: how many the arm has; the columns after them are the gripper's.
    Raises UserError naming the feature that is missing; joint positions cannot be replaced by a
    tool pose, because the policy's proprioception comes from the joints through the kinematics.
    The same for a rate that is not the policy's, unless a period is given.
    """
    info = _read_json(folder / 'meta' / 'info.json')
    period_s = _period_s(folder, float(info['fps']), names.control_period_s)
    features: dict[str, Any] = info['features']
    cameras = {
        AGENTVIEW: names.agentview_feature or _camera(folder, features, AGENTVIEW),
        WRIST: names.wrist_feature or _camera(folder, features, WRIST),
    }
    joint_feature = names.joint_feature or _joint_feature(folder, features, joints)
    for name in (*cameras.values(), joint_feature, names.action_feature):
        if name not in features:
            raise UserError(f'{folder}: no feature {name!r}; it has {", ".join(sorted(features))}')
    first_joint = _first_joint(features[joint_feature], joints)
    tasks = _tasks(folder)
    for entry in _episode_entries(folder, info):
        path = _table_path(folder, info, entry)
        table = _table(path, entry)
        actions = _matrix(path, table, names.action_feature).astype(np.float32)
        if actions.shape[1] != ACTION_DIMENSION:
            raise UserError(
                f'{folder}: action_feature={names.action_feature} has {actions.shape[1]} columns, '
                f'the policy needs {ACTION_DIMENSION} (tool-pose delta and gripper); name another'
            )
        state = _matrix(path, table, joint_feature)[:, first_joint:]
        if state.shape[1] < joints:
            raise UserError(
                f'{folder}: joint_feature={joint_feature} has {state.shape[1]} columns, and the '
                f'arm {joints} joints; name another feature or robot'
            )
        positions = state[:, :joints]
        steps = np.arange(0, len(actions), image_stride)
        yield DemonstrationEpisode(
            source=f'{folder}:episode {entry["episode_index"]}',
            instruction=tasks[table['task_index'][0].as_py()],
            images={
                camera: _images(folder, info, entry, table, feature, steps)
                for camera, feature in cameras.items()
            },
            image_steps=steps,
            joint_positions=positions,
            joint_velocities=velocities_from_positions(positions, period_s),
            gripper_positions=_fingers(path, table, names.gripper_feature, state[:, joints:]),
            actions=actions,
        )


def _period_s(folder: Path, fps: float, given_s: float | None) -> float:
    """Return the time between two steps, s.

    Raises UserError where none is given and the data set's rate is not the policy's.
    """
    if given_s is not None:
        return given_s
    # Half a percent is what rounding does to a rate, and less than the noise on the body.
    if abs(fps * CONTROL_PERIOD_S - 1.0) > 0.005:
        raise UserError(
            f'{folder}: meta/info.json says fps={fps:g}, but the policy takes a step every '
            f'{CONTROL_PERIOD_S} s ({1.0 / CONTROL_PERIOD_S:g} a second); resample the data set to '
            f'that, or say control_period_s={CONTROL_PERIOD_S} if that is how it was recorded '
            'and fps is wrong, or its true period, to train a policy for that period alone (its '
            'node must run with the same control_period_s; the simulator cannot)'
        )
    return CONTROL_PERIOD_S


def _camera(folder: Path, features: dict[str, Any], camera: str) -> str:
    images = [n for n, f in features.items() if f.get('dtype') in ('image', 'video')]
    # Depth comes as an image too, under a name like the camera's, and has no colours to learn from.
    images = [name for name in images if not any(word in name for word in _NO_COLOURS)]
    for word in _CAMERA_WORDS[camera]:
        found = [name for name in images if word in name.rsplit('.', 1)[-1]]
        if camera == AGENTVIEW:
            found = [n for n in found if not any(w in n for w in _CAMERA_WORDS[WRIST])]
        if found:
            return sorted(found)[0]
    raise UserError(
        f'{folder}: which image is the {camera} camera? It has {", ".join(images) or "none"}; say '
        f'{camera}_feature=NAME'
    )


def _joint_feature(folder: Path, features: dict[str, Any], joints: int) -> str:
    for name, feature in sorted(features.items()):
        is_joints = 'joint' in name and not any(w in name for w in ('vel', 'effort', 'torque'))
        if name.startswith('observation') and is_joints and feature['shape'][0] >= joints:
            return name
    columns = json.dumps(features.get(_STATE, {}).get('names'))
    if 'joint' in columns and features[_STATE]['shape'][0] >= joints:
        return _STATE
    raise UserError(
        f'{folder}: no joint positions ({_STATE} holds {columns}, by the looks of it a tool pose); '
        'the policy needs the joints: record them, or say joint_feature=NAME if some columns are'
    )


def _first_joint(feature: dict[str, Any], joints: int) -> int:
    """Return the first of the columns that are called joints; some begin with the tool's pose.

    0 where the columns have no names, or fewer than the arm's joints are called so.
    """
    names = feature.get('names') or []
    if isinstance(names, dict):
        # LeRobot groups names, as in {'motors': [...]}.
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    for first in range(len(names) - joints + 1):
        if all('joint' in str(name) for name in names[first : first + joints]):
            return first
    return 0


def _fingers(path: Path, table: pa.Table, feature: str, rest: np.ndarray) -> np.ndarray:
    fingers = _matrix(path, table, feature) if feature else rest[:, :2]
    if fingers.shape[1] == 1:
        return fingers * FINGER_SIGNS / 2.0
    if fingers.shape[1] != 2:
        raise UserError(f'{path}: no finger positions; say gripper_feature=NAME')
    return fingers


def _images(
    folder: Path,
    info: dict[str, Any],
    entry: dict[str, Any],
    table: pa.Table,
    feature: str,
    steps: np.ndarray,
) -> np.ndarray:
    if info['features'][feature]['dtype'] == 'image':
        table_path = _table_path(folder, info, entry)
        place = f'{table_path}: {feature} of episode {entry["episode_index"]}'
        return decode_images(folder, _column(table_path, table, feature), steps, place)
    path = info['video_path'].format(
        video_key=feature,
        episode_chunk=entry['chunk'],
        episode_index=entry['episode_index'],
        chunk_index=entry.get(f'videos/{feature}/chunk_index', 0),
        file_index=entry.get(f'videos/{feature}/file_index', 0),
    )
    start_s = entry.get(f'videos/{feature}/from_timestamp', 0.0)
    return decode_video(folder / path, start_s, float(info['fps']), steps)


def _episode_entries(folder: Path, info: dict[str, Any]) -> Iterator[dict[str, Any]]:
    packed = sorted((folder / 'meta' / 'episodes').rglob('*.parquet'))
    if packed:
        for path in packed:
            for entry in pq.read_table(path).to_pylist():
                yield {'chunk': 0, **entry}
        return
    size = info.get('chunks_size', 1000)
    for index in range(info['total_episodes']):
        yield {'episode_index': index, 'chunk': index // size}


def _table_path(folder: Path, info: dict[str, Any], entry: dict[str, Any]) -> Path:
    path: str = info['data_path'].format(
        episode_chunk=entry['chunk'],
        episode_index=entry['episode_index'],
        chunk_index=entry.get('data/chunk_index', 0),
        file_index=entry.get('data/file_index', 0),
    )
    return folder / path


def _table(path: Path, entry: dict[str, Any]) -> pa.Table:
    try:
        return pq.read_table(path, filters=[('episode_index', '==', entry['episode_index'])])
    except (OSError, pa.ArrowInvalid) as error:
        line = str(error).splitlines()[0]
        raise UserError(f'{path} cannot be read: {line}; copy the dataset again') from error


def _tasks(folder: Path) -> dict[int, str]:
    meta = folder / 'meta'
    if (meta / 'tasks.parquet').is_file():
        rows = pq.read_table(meta / 'tasks.parquet').to_pylist()
        # Written by pandas with the sentence as its index.
        return {row['task_index']: row.get('task', row.get('__index_level_0__')) for row in rows}
    if (meta / 'tasks.jsonl').is_file():
        rows = [json.loads(line) for line in (meta / 'tasks.jsonl').read_text().splitlines()]
        return {row['task_index']: row['task'] for row in rows}
    raise UserError(f'{meta}: neither tasks.parquet nor tasks.jsonl; copy the dataset again')


def _matrix(path: Path, table: pa.Table, name: str) -> np.ndarray:
    """Return a column of numbers or of lists as float64 [rows, columns]."""
    rows = _column(path, table, name).to_pylist()
    if None in rows:
        episode = table['episode_index'][0].as_py()
        raise UserError(
            f'{path}: {name} of episode {episode} has nothing in row {rows.index(None)}; {REMEDY}'
        )
    values = np.array(rows, dtype=np.float64)
    return values.reshape(len(values), -1)


def _column(path: Path, table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise UserError(
            f'{path}: no column {name!r}; there are {", ".join(table.column_names)}; say which '
            'feature is what'
        )
    return table[name]


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f'{path} cannot be read: {error}; copy the dataset again') from error
