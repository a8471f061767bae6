"""A policy that a server runs, asked as openpi's clients ask for LIBERO's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import ACTION_DIMENSION, AGENTVIEW, WRIST
from smoothvla_ros.policies.action_policy import ActionPolicy
from smoothvla_ros.policies.libero_proprioception import libero_proprioception
from smoothvla_ros.policies.policy_server.connection import Connection
from smoothvla_ros.policies.policy_server.settings import (
    DRAWN_SIZE,
    PolicyServerSettings,
    read_settings,
)
from smoothvla_ros.records import Observation


class PolicyServerPolicy(ActionPolicy):
    """Asks for one observation after another; the server draws its noise as it likes.

    The names of what is sent and the state's eight numbers are those of openpi's LIBERO example.
    """

    def __init__(self, settings: PolicyServerSettings, arm: Arm) -> None:
        """arm: whose kinematics say where the tool is.  Raises UserError where nobody answers."""
        super().__init__(settings.chunk, (AGENTVIEW, WRIST), DRAWN_SIZE)
        self._settings = settings
        self._arm = arm
        self._connection = Connection(settings.address, settings.timeout_s)

    def actions(self, observations: Sequence[Observation], seeds: Sequence[int]) -> np.ndarray:
        """Return actions [B, chunk, 7].  Raises UserError for an answer of another shape."""
        return np.stack([self._asked(observation) for observation in observations])

    def give_up(self) -> None:
        """Hang up for good, from any thread: whoever waits for an answer gets a UserError."""
        self._connection.give_up()

    def _asked(self, observation: Observation) -> np.ndarray:
        answer = self._connection.ask(self.question(observation))
        chunk = self._settings.chunk
        actions = answer.get('actions')
        if not isinstance(actions, np.ndarray):
            raise UserError(
                f'policy server {self._settings.address} answered without an array "actions"'
            )
        if actions.ndim != 2 or actions.shape[1] != ACTION_DIMENSION or len(actions) < chunk:
            raise UserError(
                f'policy server {self._settings.address} answered actions of shape '
                f'{list(actions.shape)}, needed are [{chunk} or more, {ACTION_DIMENSION}]; set '
                'chunk in config.json, or serve a policy for LIBERO'
            )
        return actions[:chunk]

    def question(self, observation: Observation) -> dict[str, object]:
        """Return what the server is sent for an observation with images of `spec`'s size."""
        return {
            'observation/image': self._image(observation.images[AGENTVIEW]),
            'observation/wrist_image': self._image(observation.images[WRIST]),
            'observation/state': self._state(observation),
            'prompt': observation.instruction,
        }

    def _image(self, image: np.ndarray) -> np.ndarray:
        size = self._settings.image_size
        seen = image[:, ::-1] if self._settings.mirrored else image
        resized = Image.fromarray(np.ascontiguousarray(seen)).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        return np.asarray(resized)

    def _state(self, observation: Observation) -> np.ndarray:
        return libero_proprioception(self._arm, observation, self._settings.frame)


def load(folder: Path, device: torch.device, arm: Arm) -> PolicyServerPolicy:
    """Return the policy of a folder's `config.json`; the server has a device of its own."""
    return PolicyServerPolicy(read_settings(folder), arm)


def image_size(folder: Path) -> int:
    """Return the height and width of the images that are drawn for it, pixels."""
    return DRAWN_SIZE
