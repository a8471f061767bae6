"""LIBERO's own demonstrations: one HDF5 file a task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import AGENTVIEW, CONTROL_PERIOD_S, WRIST
from smoothvla_ros.training.sft.config import AFTER, BEFORE, UNKNOWN
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode
from smoothvla_ros.training.sft.episode_checks import check_rows
from smoothvla_ros.training.sft.joint_velocities import velocities_from_positions

_CAMERAS = {AGENTVIEW: 'agentview_rgb', WRIST: 'eye_in_hand_rgb'}
# A step of less tells little about when its observation was taken, rad.
_MOVED_RAD = 1e-3
# robosuite may take an observation one of its 25 substeps early: 4 % of a step.
_NEAR = 0.2
_SUFFIX = re.compile(r'_demo$')
_SCENE = re.compile(r'^[A-Z_]*SCENE\d+_')


def read_libero_hdf5(
    paths: Sequence[Path], image_stride: int, image_moment: str = UNKNOWN
) -> Iterator[DemonstrationEpisode]:
    """Yield the demonstrations of LIBERO's files; an image every `image_stride` steps.

    Their images are stored upside down, as robosuite renders them, and are turned upright here;
    not those of a file which says that robosuite turned them (`macros_image_convention`: opencv).
    LIBERO's writer stores what was seen after each action in the action's row, and regenerated
    files what was seen before it; the simulator's states, which always precede the action, tell
    which, and each observation is paired with the action that follows it. image_moment: BEFORE or
    AFTER, for files without states; what states tell is never overruled.
    Their joint velocities are not stored and are taken from the positions.
    Raises UserError naming the file and what it lacks.
    """
    for path in paths:
        try:
            file = h5py.File(path, 'r')
        except OSError as error:
            raise UserError(f'{path} is not a readable HDF5 file; copy it again') from error
        with file:
            group = file.get('data')
            if not isinstance(group, h5py.Group):
                raise UserError(f'{path}: no group "data"; this is not a LIBERO demonstration file')
            instruction = _instruction(path, group.attrs)
            rows = -1 if group.attrs.get('macros_image_convention') != 'opencv' else 1
            for name in sorted(group, key=_number):
                yield _episode(
                    f'{path}:{name}', group[name], instruction, image_stride, image_moment, rows
                )


def _episode(
    source: str,
    demo: h5py.Group,
    instruction: str,
    image_stride: int,
    image_moment: str,
    image_rows: int,
) -> DemonstrationEpisode:
    """image_rows: -1 where an image's bottom row comes first, else 1."""

    def array(name: str) -> np.ndarray:
        if name not in demo:
            raise UserError(f'{source}: no array {name!r}; this is not a LIBERO demonstration file')
        return np.asarray(demo[name])

    for camera_array in _CAMERAS.values():
        if f'obs/{camera_array}' not in demo:
            raise UserError(f"{source}: no array 'obs/{camera_array}'; record it with images")

    actions = array('actions').astype(np.float32)
    joints = array('obs/joint_states').astype(np.float64)
    fingers = array('obs/gripper_states').astype(np.float64)
    states = array('states').astype(np.float64) if 'states' in demo else None
    if states is None and image_moment == UNKNOWN:
        raise UserError(
            f"{source}: no array 'states', which tells whether a row's image was taken before or "
            f'after its action; say image_moment={BEFORE} or {AFTER}'
        )
    rows = {'obs/joint_states': len(joints), 'obs/gripper_states': len(fingers)}
    rows |= {f'obs/{stored}': len(demo[f'obs/{stored}']) for stored in _CAMERAS.values()}
    rows |= {'states': len(states)} if states is not None else {}
    check_rows(source, len(actions), rows)
    before, first = joints[:1], 0
    if states is None:
        after = image_moment == AFTER
        # How fast the arm was in the first row only the state before its action tells.
        first = 1 if after else 0
    elif after := _observed_after(source, joints, states):
        before = states[:1, _arm(joints)]
    if after:
        # The last observation has no action that follows it.
        actions = actions[first + 1 :]
    steps = np.arange(0, len(actions), image_stride)
    images = {}
    for camera, stored in _CAMERAS.items():
        stored_images = demo[f'obs/{stored}'][first : first + len(actions) : image_stride]
        images[camera] = np.ascontiguousarray(stored_images[:, ::image_rows])
    velocities = velocities_from_positions(np.concatenate([before, joints]), CONTROL_PERIOD_S)[1:]
    return DemonstrationEpisode(
        source=source,
        instruction=instruction,
        images=images,
        image_steps=steps,
        joint_positions=joints[first:],
        joint_velocities=velocities[first:],
        gripper_positions=fingers[first:],
        actions=actions,
    )


def _arm(joints: np.ndarray) -> slice:
    """Return the columns of the arm's joints in the states.

    MuJoCo's flattened state is time, positions, velocities; the arm's joints come first.
    """
    return slice(1, 1 + joints.shape[1])


def _observed_after(source: str, joints: np.ndarray, states: np.ndarray) -> bool:
    """Return whether each row's observation was taken after its action rather than before it.

    joints: [T, n] rad, the observed ones.  states: [T, >= 1 + n], before each action: any number
    (the simulator's time), then the joints.
    Medians, because regenerated files leave actions out and hold another state in the first row.
    Raises UserError if the observations are those of neither moment.
    """
    if joints.ndim != 2 or states.ndim != 2 or states.shape[1] <= joints.shape[1]:
        raise UserError(
            f"{source}: 'states' is {list(states.shape)} and 'obs/joint_states' "
            f'{list(joints.shape)}, but must be [rows, n] with n joints, and [rows, 1 + n] or more '
            'with the joints before each action in columns 1 to n; record it again so'
        )
    arm = _arm(joints)
    start, end = states[:-1, arm], states[1:, arm]
    if len(states) > 1:
        moved = np.linalg.norm(end - start, axis=1)
        rows = np.flatnonzero(moved > _MOVED_RAD)
        if len(rows):
            for moment, is_after in ((start, False), (end, True)):
                distances = np.linalg.norm(joints[:-1] - moment, axis=1)[rows] / moved[rows]
                if np.nanmedian(distances) < _NEAR:
                    return is_after
    raise UserError(
        f"{source}: 'obs/joint_states' agree with 'states' neither before nor after the actions, "
        'so that which action follows an image is not known; write the file again with LIBERO, or '
        "leave 'states' out and say image_moment"
    )


def _instruction(path: Path, attributes: Any) -> str:
    """Return the file's instruction, from its attributes or, where they lack it, its name."""
    try:
        problem = json.loads(attributes['problem_info'])
        instruction = problem['language_instruction']
    except (KeyError, ValueError, TypeError):
        instruction = _SCENE.sub('', _SUFFIX.sub('', path.stem)).replace('_', ' ')
    # Some files hold the sentence as a list of words, some in quotes.
    if isinstance(instruction, list):
        instruction = ' '.join(instruction)
    return str(instruction).strip().strip('"')


def _number(name: str) -> int:
    digits = re.sub(r'\D', '', name)
    return int(digits) if digits else 0
