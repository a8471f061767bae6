"""What a demonstration must be before anything is learnt from it, whatever file it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import ACTION_DIMENSION, GRIPPER
from smoothvla_ros.policies.images import is_rgb
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode

FINGERS = 2

# An eighth of a bin: what a conversion may round, and the loss puts into the last bin.
_ROUNDING = 1e-3
# A simulator's ends of a range are soft, and a model's may differ from the arm's by some degrees.
_BEYOND_LIMIT_RAD = 0.1
# Fingers that close on each other or on something thin may both be pushed to one side, m.
_BEYOND_MIDDLE_M = 0.005
# Grippers open by up to twice this; the Panda's by 0.08 m.
_WIDEST_FINGER_M = 0.1
# Of the opening, m: in a step, what only a command does, and in all, enough to judge commands by.
_MOVED_M, _JUDGED_M = 1e-3, 0.01


def check_rows(source: str, steps: int, rows: Mapping[str, int], more: int = 0) -> None:
    """Raise UserError unless arrays have a row for each of the actions, or up to `more` besides.

    source: whose they are, the error's beginning.  rows: name -> number of an array's rows.
    """
    for name, count in rows.items():
        if not steps <= count <= steps + more:
            raise UserError(
                f'{source}: {name} has {count} rows for {steps} actions; one row a control step is '
                'needed in each, so record it again or take it out'
            )


def check_episode(episode: DemonstrationEpisode, arm: Arm) -> None:
    """Raise UserError, naming the demonstration, unless it is one of `arm` in the units needed.

    Every array must have the shape that `DemonstrationEpisode` says and finite numbers, actions
    must lie in [-1, 1], joints in the arm's ranges, fingers within 0.1 m, and the second opposite
    to the first; the fingers must move as the gripper's commands say.
    """
    _check_shapes(episode, len(arm.joint_names))
    _check_finite(episode)
    _check_range(episode)
    _check_joints(episode, arm)
    _check_fingers(episode)
    _check_gripper_commands(episode)


def check_images(episode: DemonstrationEpisode, cameras: Sequence[str]) -> None:
    """Raise UserError, naming the demonstration, unless each camera has RGB bytes of every step.

    Other numbers would be cast: those in [0, 1] to black, 16 bits to what is left modulo 256.
    """
    for camera in cameras:
        if camera not in episode.images:
            raise UserError(
                f'{episode.source}: no images of camera {camera!r}; it has '
                f'{", ".join(sorted(episode.images))}'
            )
        images = episode.images[camera]
        if not is_rgb(images, 4):
            raise UserError(
                f'{episode.source}: images of {camera} are {images.dtype} {list(images.shape)}, '
                'training needs uint8 [images, height, width, 3]; convert them to RGB of 0 to 255'
            )
        if len(images) != len(episode.image_steps):
            raise UserError(
                f'{episode.source}: {len(images)} images of {camera} for '
                f'{len(episode.image_steps)} steps; record it again or take it out'
            )


def _check_shapes(episode: DemonstrationEpisode, joints: int) -> None:
    arrays = {
        'actions': (episode.actions, ACTION_DIMENSION, 'tool-pose delta and gripper'),
        'joint_positions': (episode.joint_positions, joints, 'the joints of the robot, rad'),
        'joint_velocities': (episode.joint_velocities, joints, 'the joints of the robot, rad/s'),
        'gripper_positions': (
            episode.gripper_positions,
            FINGERS,
            'two fingers, m: of one opening its half, and its half negative',
        ),
        **{name: (values, 3, 'a point, m') for name, values in episode.labels.items()},
    }
    for name, (values, columns, what) in arrays.items():
        numbers = np.issubdtype(values.dtype, np.number)
        if not numbers or values.ndim != 2 or values.shape[1] != columns:
            raise UserError(
                f'{episode.source}: {name} is {values.dtype} {list(values.shape)}, training needs '
                f'numbers [steps, {columns}] ({what}); record it again so'
            )
    steps = len(episode.actions)
    if not steps:
        raise UserError(f'{episode.source}: no actions; take this demonstration out')
    # One more is what was seen after the last action.
    bodies = ('joint_positions', 'joint_velocities', 'gripper_positions')
    rows = {name: len(getattr(episode, name)) for name in bodies}
    check_rows(episode.source, steps, rows, more=1)
    labels = {name: len(values) for name, values in episode.labels.items()}
    check_rows(episode.source, steps, labels)


def _check_finite(episode: DemonstrationEpisode) -> None:
    steps = len(episode.actions)
    for name in ('actions', 'joint_positions', 'joint_velocities', 'gripper_positions'):
        values = getattr(episode, name)[:steps]
        bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(bad):
            raise UserError(
                f'{episode.source}: {name}={values[bad[0]].tolist()} at step {bad[0]} is not '
                'finite; take this demonstration out'
            )


def _check_range(episode: DemonstrationEpisode) -> None:
    beyond = np.flatnonzero((np.abs(episode.actions) > 1.0 + _ROUNDING).any(axis=1))
    if len(beyond):
        step = beyond[0]
        values = ', '.join(f'{value:.4g}' for value in episode.actions[step])
        raise UserError(
            f'{episode.source}: actions=[{values}] at step {step} (and {len(beyond) - 1} more) '
            'leave [-1, 1]; scale all demonstrations to what the robot takes, or take this one out'
        )


def _check_joints(episode: DemonstrationEpisode, arm: Arm) -> None:
    lower, upper, _ = arm.joint_limits()
    positions = episode.joint_positions[: len(episode.actions)]
    beyond = (positions < lower - _BEYOND_LIMIT_RAD) | (positions > upper + _BEYOND_LIMIT_RAD)
    for step, joint in np.argwhere(beyond)[:1]:
        raise UserError(
            f'{episode.source}: joint_positions has {positions[step, joint]:.4g} for '
            f'{arm.joint_names[joint]} at step {step}, outside of its range '
            f'[{lower[joint]:.4g}, {upper[joint]:.4g}]; give rad, in the order of the joints of '
            'the robot, or name another robot'
        )


def _check_fingers(episode: DemonstrationEpisode) -> None:
    fingers = episode.gripper_positions[: len(episode.actions)]
    for step in np.flatnonzero((np.abs(fingers) > _WIDEST_FINGER_M).any(axis=1))[:1]:
        raise UserError(
            f'{episode.source}: gripper_positions has [{fingers[step, 0]:.4g}, '
            f'{fingers[step, 1]:.4g}] at step {step}, beyond {_WIDEST_FINGER_M} m: fingers, or one '
            'opening of which each has half, must be in metres; convert them, or name another '
            'feature of a LeRobot data set: gripper_feature=NAME'
        )
    second = fingers[:, 1]
    for step in np.flatnonzero(second > _BEYOND_MIDDLE_M)[:1]:
        raise UserError(
            f'{episode.source}: gripper_positions has {second[step]:.4g} for the second finger at '
            f'step {step}; it is measured against the first: give it negative, in m'
        )


def _check_gripper_commands(episode: DemonstrationEpisode) -> None:
    """Raise UserError where the fingers open or close at commands of another meaning.

    Other collections command 0 to close and 1 to open, or the reverse: within [-1, 1] as well.
    """
    fingers = episode.gripper_positions[: len(episode.actions)]
    moved = np.diff(fingers[:, 0] - fingers[:, 1])
    commands = episode.actions[: len(moved), GRIPPER]
    for verb, sign in (('open', -1.0), ('close', 1.0)):
        # Closing makes the opening smaller.
        ways = np.maximum(-sign * moved, 0.0)
        ways[ways < _MOVED_M] = 0.0
        way, as_commanded = ways.sum(), ways[sign * commands > 0.0].sum()
        if way > _JUDGED_M and as_commanded < way / 2:
            raise UserError(
                f'{episode.source}: the fingers {verb} by {way:.2g} m at gripper commands of '
                f'{np.median(commands[ways > 0.0]):.3g} (the last column of actions), which must '
                'be -1 to open and 1 to close; convert that column (where 1 opens and 0 closes, '
                'to 1 - 2 x)'
            )
