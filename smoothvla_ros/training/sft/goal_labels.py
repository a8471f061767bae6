"""Where the tool is heading, as labels for the model's goal estimate.

Localisation is what a small data set teaches slowest from actions alone: an action tells the
direction of the goal, a label tells where it is.
"""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.kinematics.rotations import rotation_vector
from smoothvla_ros.libero import GRIPPER
from smoothvla_ros.training.sft.demonstration_episode import LABEL_NAMES, DemonstrationEpisode

GOAL_SIZE = 3 * len(LABEL_NAMES) + 6
# Decimetres and radians: all of order one.
LENGTH_UNIT_M = 0.1


def goal_labels(
    episode: DemonstrationEpisode, steps: np.ndarray, arm: Arm
) -> tuple[np.ndarray, np.ndarray]:
    """Return labels float32 and their validity bool, both [len(steps), GOAL_SIZE].

    First the privileged positions of LABEL_NAMES, each relative to the tool, in decimetres (not
    valid where the demonstration lacks them); then the tool pose at the next change of the
    gripper command, relative to the present one: position in decimetres, rotation vector in
    radians. The latter is known from hindsight in every data set (the key frames of James and
    Davison 2022, "Q-attention").
    """
    length = len(episode.actions)
    poses = [arm.tool_pose(joints) for joints in episode.joint_positions[:length]]
    positions = np.array([position for position, _ in poses])
    labels = np.zeros((len(steps), GOAL_SIZE), np.float32)
    valid = np.zeros((len(steps), GOAL_SIZE), bool)
    for index, name in enumerate(LABEL_NAMES):
        if name in episode.labels:
            part = slice(3 * index, 3 * index + 3)
            values = (episode.labels[name][steps] - positions[steps]) / LENGTH_UNIT_M
            labels[:, part] = np.nan_to_num(values)
            valid[:, part] = np.isfinite(values)
    key_steps = next_gripper_change(episode.actions)[steps]
    for row, (step, key) in enumerate(zip(steps, key_steps, strict=True)):
        labels[row, -6:-3] = (positions[key] - positions[step]) / LENGTH_UNIT_M
        labels[row, -3:] = rotation_vector(poses[key][1] @ poses[step][1].T)
    valid[:, -6:] = True
    return labels, valid


def next_gripper_change(actions: np.ndarray) -> np.ndarray:
    """Return int64 [T]: for each step, the next later step whose gripper command differs in sign.

    Steps after the last change point to the last step.
    """
    closed = actions[:, GRIPPER] > 0
    changes = np.flatnonzero(closed[1:] != closed[:-1]) + 1
    targets = np.append(changes, len(actions) - 1)
    return targets[np.searchsorted(changes, np.arange(len(actions)), side='right')]
