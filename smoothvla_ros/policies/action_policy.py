"""A policy of one's own that answers with actions and has no tokens: played, not trained."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_DIMENSION, ACTION_SPACE, JOINT_SPACE
from smoothvla_ros.policies.action_tokens import ActionBins, sampling_temperature
from smoothvla_ros.policies.images import camera_image, fit_images
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec, TokenStatistics
from smoothvla_ros.records import Observation

# Networks overshoot the range a little; an answer of twice as much is in other units.
_MOST = 2.0


class ActionPolicy(ABC):
    """What a flow, diffusion or regression policy needs to be evaluated, and to drive an arm.

    A subclass says `actions`.  GRPO needs log-probabilities: a policy that has them implements
    `Policy` instead.
    """

    def __init__(
        self,
        chunk: int,
        cameras: Sequence[str],
        image_size: int,
        action_space: str = ACTION_SPACE,
        action_dimension: int = ACTION_DIMENSION,
    ) -> None:
        """chunk: steps an answer has.  The others as `PolicySpec` has them.

        Any other action space than LIBERO's is for a real arm: LIBERO does not play it.
        """
        self._bins = ActionBins()
        self.spec = PolicySpec(
            chunk,
            action_dimension,
            self._bins.count,
            action_space,
            tuple(cameras),
            image_size,
            samples=False,
        )
        self.module = torch.nn.Module()

    @abstractmethod
    def actions(self, observations: Sequence[Observation], seeds: Sequence[int]) -> np.ndarray:
        """Return actions [B, chunk, dimension] for B observations.

        Their images are uint8 [image_size, image_size, 3], whatever a camera gives.
        In `libero_osc_pose` 7 numbers: tool translation in axes of the base (1 is 0.05 m), rotation
        vector in the same axes (1 is 0.5 rad), gripper (-1 opens, 1 closes). What lies a little
        beyond [-1, 1] is clipped, as LIBERO's controller does; beyond twice that it is refused. In
        `joint_positions` the arm's joints, rad, as they are, and the gripper as above.
        A policy that draws noise draws row i from seeds[i] alone, so that an episode can be played
        again.
        """

    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Answer with `actions`, the tokens nearest to them and log-probabilities of 0.

        Raises UserError for a temperature other than 0: there is no distribution to sample from,
        and for an answer that is not finite or in other units than its action space.
        """
        sampling_temperature(temperature)
        if temperature > 0.0:
            self._cannot(f'sample at temperature {temperature:g}')
        given = self.actions([self._fitted(o) for o in observations], seeds)
        if not isinstance(given, np.ndarray):
            raise UserError(
                f'policy {type(self).__name__} answered {type(given).__name__}; let `actions` '
                'return a NumPy array'
            )
        answer = given.astype(np.float64)
        if not np.isfinite(answer).all():
            raise UserError(f'policy {type(self).__name__} answered a number that is not finite')
        if self.spec.action_space == ACTION_SPACE:
            units = f'name its own action space ({JOINT_SPACE} for joints in rad)'
            answer = self._clipped(answer, f'bring it to those units, or {units}')
        else:
            # Whatever the others are, the last number is a gripper.
            gripper = 'bring its last number, the gripper, to those units'
            answer[..., -1:] = self._clipped(answer[..., -1:], gripper)
        # Of joints they mean nothing; nothing reads them then, for such a policy is not trained.
        tokens = self._bins.encode(answer)
        return ActionChunks(answer, tokens, np.zeros(tokens.shape, np.float32))

    def _clipped(self, answer: np.ndarray, remedy: str) -> np.ndarray:
        furthest = np.abs(answer).max(initial=0.0)
        if furthest > _MOST:
            raise UserError(
                f'policy {type(self).__name__} answered {furthest:g} in action space '
                f'{self.spec.action_space} in place of a number from -1 to 1; {remedy}'
            )
        return np.clip(answer, -1.0, 1.0)

    def evaluate(
        self, observations: Sequence[Observation], tokens: np.ndarray, *, temperature: float
    ) -> TokenStatistics:
        """Raise UserError: there are no log-probabilities."""
        self._cannot('score tokens')

    def prepare_training(self) -> None:
        """Raise UserError: there are no log-probabilities to learn from."""
        self._cannot('be trained by GRPO')

    def save(self, folder: Path) -> None:
        """Raise UserError: nothing changed, and the folder it came from stays what it is."""
        self._cannot('be saved')

    def _fitted(self, observation: Observation) -> Observation:
        """Return what was seen with the images of `spec`."""
        images = {
            camera: fit_images(
                camera_image(observation, camera, 'name the cameras as the policy does')[None],
                self.spec.image_size,
            )[0]
            for camera in self.spec.cameras
        }
        return dataclasses.replace(observation, images=images)

    def _cannot(self, purpose: str) -> NoReturn:
        raise UserError(
            f'policy {type(self).__name__} answers with actions alone and cannot {purpose}: it '
            'has no log-probabilities; a policy that has them implements the whole Policy'
        )
