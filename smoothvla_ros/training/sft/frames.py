"""Demonstrations as training rows: one row an image, with the chunk of actions that follows it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.images import fit_images
from smoothvla_ros.policies.proprioception import proprioception
from smoothvla_ros.records import Observation
from smoothvla_ros.training.sft.demonstration_episode import DemonstrationEpisode
from smoothvla_ros.training.sft.episode_checks import check_episode, check_images
from smoothvla_ros.training.sft.goal_labels import GOAL_SIZE, goal_labels


@dataclass(frozen=True)
class FrameBatch:
    """B rows as tensors.

    images: uint8 [B, cameras, H, W, 3].  sentences: index of each row's instruction, [B].
    body: float32 [B, 17].  actions: float32 [B, chunk, 7], valid: bool [B, chunk], False beyond
    the demonstration's end.  goal, goal_valid: float32 and bool [B, GOAL_SIZE].
    """

    images: torch.Tensor
    sentences: np.ndarray
    body: torch.Tensor
    actions: torch.Tensor
    valid: torch.Tensor
    goal: torch.Tensor
    goal_valid: torch.Tensor


class FrameSet:
    """All rows of some demonstrations, in memory: images as bytes, the rest as small arrays."""

    def __init__(
        self,
        episodes: Iterable[DemonstrationEpisode],
        *,
        arm: Arm,
        cameras: Sequence[str],
        image_size: int,
        chunk: int,
    ) -> None:
        """Read every episode once.

        Raises UserError if there is none, or one is not what `check_episode` and `check_images`
        ask for.
        """
        self.instructions: list[str] = []
        self._images: list[np.ndarray] = []
        rows: list[tuple[np.ndarray, ...]] = []
        for number, episode in enumerate(episodes):
            check_episode(episode, arm)
            self._images.append(_stack(episode, cameras, image_size))
            if episode.instruction not in self.instructions:
                self.instructions.append(episode.instruction)
            sentence = self.instructions.index(episode.instruction)
            rows.append(_rows(episode, number, sentence, arm, chunk))
        if not rows:
            raise UserError('data: no demonstrations to learn from; name a folder that holds some')
        columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
        self.episode, self._row, self.sentence = columns[:3]
        self.body, self.actions, self.valid, self.goal, self.goal_valid = columns[3:]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.episode)

    @property
    def episodes(self) -> int:
        """Number of demonstrations."""
        return len(self._images)

    def sha256(self) -> str:
        """Return one SHA-256 over all that is learnt from, as hex."""
        digest = hashlib.sha256('\0'.join(self.instructions).encode())
        columns = (self.episode, self.sentence, self.body, self.actions, self.goal)
        for array in (*columns, *self._images):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def batch(self, rows: np.ndarray) -> FrameBatch:
        """Gather rows by number, [B]."""
        images = np.stack([self._images[self.episode[i]][self._row[i]] for i in rows])
        return FrameBatch(
            images=torch.from_numpy(images),
            sentences=self.sentence[rows],
            body=torch.from_numpy(self.body[rows]),
            actions=torch.from_numpy(self.actions[rows]),
            valid=torch.from_numpy(self.valid[rows]),
            goal=torch.from_numpy(self.goal[rows]),
            goal_valid=torch.from_numpy(self.goal_valid[rows]),
        )


def _stack(episode: DemonstrationEpisode, cameras: Sequence[str], size: int) -> np.ndarray:
    check_images(episode, cameras)
    return np.stack([fit_images(episode.images[camera], size) for camera in cameras], axis=1)


def _rows(
    episode: DemonstrationEpisode, number: int, sentence: int, arm: Arm, chunk: int
) -> tuple[np.ndarray, ...]:
    steps, length = episode.image_steps, len(episode.actions)
    steps = steps[steps < length]
    ahead = steps[:, None] + np.arange(chunk)
    bodies = [
        proprioception(
            arm,
            Observation(
                images={},
                joint_positions=episode.joint_positions[step],
                joint_velocities=episode.joint_velocities[step],
                gripper_positions=episode.gripper_positions[step],
                instruction=episode.instruction,
            ),
        )
        for step in steps
    ]
    goal, goal_valid = goal_labels(episode, steps, arm)
    return (
        np.full(len(steps), number),
        np.arange(len(steps)),
        np.full(len(steps), sentence),
        np.stack(bodies) if len(steps) else np.zeros((0, 17), np.float32),
        episode.actions[np.minimum(ahead, length - 1)].astype(np.float32),
        ahead < length,
        goal.reshape(-1, GOAL_SIZE),
        goal_valid.reshape(-1, GOAL_SIZE),
    )
