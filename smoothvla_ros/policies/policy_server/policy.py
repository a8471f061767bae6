"""A policy that a server runs, asked as openpi's clients ask for LIBERO's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import ACTION_DIMENSION, AGENTVIEW, JOINT_SPACE, WRIST
from smoothvla_ros.policies.action_policy import ActionPolicy
from smoothvla_ros.policies.libero_proprioception import TOOL_SIZE, libero_proprioception
from smoothvla_ros.policies.policy_server.connection import Connection
from smoothvla_ros.policies.policy_server.settings import (
    DRAWN_SIZE,
    JOINTS,
    PROMPT,
    PolicyServerSettings,
    read_settings,
)
from smoothvla_ros.policies.proprioception import checked_values
from smoothvla_ros.records import Observation


class PolicyServerPolicy(ActionPolicy):
    """Asks for one observation after another; the server draws its noise as it likes.

    What is sent and what an answer means is by default that of openpi's LIBERO example.
    """

    def __init__(self, settings: PolicyServerSettings, arm: Arm) -> None:
        """arm: whose kinematics say where the tool is.  Raises UserError where nobody answers."""
        joints = settings.action_space == JOINT_SPACE
        super().__init__(
            settings.chunk,
            (AGENTVIEW, WRIST),
            DRAWN_SIZE,
            settings.action_space,
            len(arm.joint_names) + 1 if joints else ACTION_DIMENSION,
        )
        self._settings = settings
        self._arm = arm
        self._connection = Connection(settings.address, settings.timeout_s)

    def actions(self, observations: Sequence[Observation], seeds: Sequence[int]) -> np.ndarray:
        """Return actions [B, chunk, dimension].  Raises UserError for another shape."""
        actions = np.stack([self._asked(observation) for observation in observations])
        actions[..., -1] = self._gripper(actions[..., -1])
        return actions

    def give_up(self) -> None:
        """Hang up for good, from any thread: whoever waits for an answer gets a UserError."""
        self._connection.give_up()

    def _asked(self, observation: Observation) -> np.ndarray:
        answer = self._connection.ask(self.question(observation))
        chunk, dimension = self._settings.chunk, self.spec.action_dimension
        actions = answer.get('actions')
        if not isinstance(actions, np.ndarray):
            raise UserError(
                f'policy server {self._settings.address} answered without an array "actions"'
            )
        if actions.ndim != 2 or actions.shape[1] != dimension or len(actions) < chunk:
            raise UserError(
                f'policy server {self._settings.address} answered actions of shape '
                f'{list(actions.shape)}, needed are [{chunk} or more, {dimension}] in action space '
                f'{self.spec.action_space}; set chunk and action_space in config.json, or serve '
                'another policy'
            )
        return actions[:chunk].astype(np.float64)

    def question(self, observation: Observation) -> dict[str, object]:
        """Return what the server is sent for an observation with images of `spec`'s size."""
        settings = self._settings
        question: dict[str, object] = {
            settings.image_name: self._image(observation.images[AGENTVIEW]),
            settings.wrist_image_name: self._image(observation.images[WRIST]),
            PROMPT: observation.instruction,
        }
        arm, fingers = self._state(observation)
        if settings.gripper_name:
            return question | {settings.state_name: arm, settings.gripper_name: fingers}
        return question | {settings.state_name: np.concatenate([arm, fingers])}

    def _image(self, image: np.ndarray) -> np.ndarray:
        size = self._settings.image_size
        seen = image[:, ::-1] if self._settings.mirrored else image
        resized = Image.fromarray(np.ascontiguousarray(seen)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        return np.asarray(resized)

    def _state(self, observation: Observation) -> tuple[np.ndarray, np.ndarray]:
        """Return what is told of the arm, and of the fingers.  Raises UserError."""
        if self._settings.state == JOINTS:
            joints = checked_values(observation, 'joint_positions', len(self._arm.joint_names))
            fingers = len(observation.gripper_positions)
            return joints, checked_values(observation, 'gripper_positions', fingers)
        state = libero_proprioception(self._arm, observation, self._settings.frame)
        return state[:TOOL_SIZE], state[TOOL_SIZE:]

    def _gripper(self, answered: np.ndarray) -> np.ndarray:
        """Return what the server answered for the gripper, brought to -1 (open) and 1 (closed)."""
        settings = self._settings
        way = settings.gripper_closed - settings.gripper_open
        return 2.0 * (answered - settings.gripper_open) / way - 1.0


def load(folder: Path, device: torch.device, arm: Arm) -> PolicyServerPolicy:
    """Return the policy of a folder's `config.json`; the server has a device of its own."""
    return PolicyServerPolicy(read_settings(folder), arm)


def image_size(folder: Path) -> int:
    """Return the height and width of the images that are drawn for it, pixels."""
    return DRAWN_SIZE
