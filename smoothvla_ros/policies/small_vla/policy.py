"""The small model behind the `Policy` seam."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.policies.action_tokens import (
    ActionBins,
    choose_tokens,
    sampling_temperature,
    token_log_probs,
)
from smoothvla_ros.policies.configuration_file import CONFIGURATION
from smoothvla_ros.policies.images import camera_image, fit_images
from smoothvla_ros.policies.instructions import Vocabulary
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec, TokenStatistics
from smoothvla_ros.policies.proprioception import proprioception
from smoothvla_ros.policies.small_vla.configuration import SmallVLAConfig
from smoothvla_ros.policies.small_vla.modeling import SmallVLAModel, to_channels_last
from smoothvla_ros.policies.small_vla.quiet import quiet_transformers
from smoothvla_ros.policies.tensor_files import check_finite, tensor_file_errors
from smoothvla_ros.policies.weights_folder import check_files, write_atomically
from smoothvla_ros.records import Observation

_VOCABULARY = 'vocabulary.json'
_WEIGHTS = 'model.safetensors'


class SmallVLAPolicy:
    """A `SmallVLAModel`, its vocabulary and the arm it was told to move.

    The model stays in eval mode, in training too: batch normalisation with the statistics of a
    batch would give `evaluate` other log-probabilities than `act`.
    """

    def __init__(
        self,
        model: SmallVLAModel,
        vocabulary: Vocabulary,
        arm: Arm | None = None,
        *,
        deterministic: bool = True,
    ) -> None:
        """Wrap a model. deterministic: `act` runs one row at a time, so that a row's bits do not
        depend on who shares its batch.
        """
        config = model.config
        self.module = to_channels_last(model.float().eval())
        self._vocabulary = vocabulary
        self.arm = arm if arm is not None else Arm.panda()
        self._deterministic = deterministic
        self._bins = ActionBins(config.bins)
        self.spec = PolicySpec(
            chunk=config.chunk,
            action_dimension=config.action_dimension,
            bins=config.bins,
            action_space=config.action_space,
            cameras=tuple(config.cameras),
            image_size=config.image_size,
        )

    @classmethod
    def load(
        cls, folder: Path, device: torch.device | str = 'cpu', arm: Arm | None = None
    ) -> SmallVLAPolicy:
        """Read a policy that `save` wrote.

        Raises UserError naming the file that is missing, damaged, does not fit the others or has
        weights that are not finite.
        """
        check_files(folder, (CONFIGURATION, _VOCABULARY, _WEIGHTS))
        vocabulary = Vocabulary.read(folder / _VOCABULARY)
        try:
            config = SmallVLAConfig.from_pretrained(folder)
            # Not from_pretrained: it leaves parameters where the file happens to be mapped, and
            # matrix products round differently for other alignments. This copies, and is strict.
            model = SmallVLAModel(config)
            model.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
            line = ' '.join(str(error).split())[:200]
            raise UserError(f'policy {folder} cannot be loaded: {line}; copy it again') from error
        if len(vocabulary) != model.config.vocabulary_size:
            raise UserError(
                f'policy {folder}: {_VOCABULARY} has {len(vocabulary)} words, the weights '
                f'{model.config.vocabulary_size}; copy both from one place'
            )
        for name, value in model.state_dict().items():
            check_finite(folder / _WEIGHTS, name, value, 'train it again')
        model.to(device=torch.device(device))  # type: ignore[call-arg]
        return cls(model, vocabulary, arm)

    @property
    def vocabulary(self) -> Vocabulary:
        """The words it knows."""
        return self._vocabulary

    @torch.no_grad()
    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Decide for each observation; see `Policy.act`."""
        if len(seeds) != len(observations):
            raise ValueError(f'{len(observations)} observations need as many seeds')
        step = 1 if self._deterministic else max(len(observations), 1)
        tokens, log_probs = [], []
        for first in range(0, len(observations), step):
            logits = self._logits(observations[first : first + step])
            chosen, scores = choose_tokens(logits, temperature, seeds[first : first + step])
            tokens.append(chosen.cpu())
            log_probs.append(scores.cpu())
        shape = (0, self.spec.chunk, self.spec.action_dimension)
        all_tokens = torch.cat([torch.empty(shape, dtype=torch.int64), *tokens]).numpy()
        return ActionChunks(
            actions=self._bins.decode(all_tokens),
            tokens=all_tokens,
            log_probs=torch.cat([torch.empty(shape), *log_probs]).numpy(),
        )

    def evaluate(
        self, observations: Sequence[Observation], tokens: np.ndarray, *, temperature: float
    ) -> TokenStatistics:
        """Return log-probabilities and entropy of `tokens`; see `Policy.evaluate`."""
        divisor = sampling_temperature(temperature)
        logits = self._logits(observations)
        distribution = token_log_probs(logits, divisor)
        index = torch.as_tensor(np.asarray(tokens), device=logits.device).unsqueeze(-1)
        probabilities = distribution.exp()
        centres = torch.as_tensor(self._bins.centres, dtype=torch.float32, device=logits.device)
        return TokenStatistics(
            log_probs=distribution.gather(-1, index).squeeze(-1),
            entropy=-(probabilities * distribution).sum(dim=-1),
            expected_actions=probabilities @ centres,
        )

    def prepare_training(self) -> None:
        """See `Policy.prepare_training`: all of it learns."""

    def save(self, folder: Path) -> None:
        """Write configuration, weights, vocabulary and their hashes."""
        with write_atomically(folder) as temporary:
            with quiet_transformers(), tensor_file_errors():
                self.module.save_pretrained(temporary)
            self._vocabulary.write(temporary / _VOCABULARY)

    def _logits(self, observations: Sequence[Observation]) -> torch.Tensor:
        length = self.module.config.instruction_length
        images = np.stack([self._images(observation) for observation in observations])
        words = np.stack([self._vocabulary.encode(o.instruction, length) for o in observations])
        bodies = np.stack([proprioception(self.arm, observation) for observation in observations])
        device = self.module.device
        output = self.module(
            torch.from_numpy(images).to(device),
            torch.from_numpy(words).to(device),
            torch.from_numpy(bodies).to(device),
        )
        return output.logits

    def _images(self, observation: Observation) -> np.ndarray:
        images = []
        for camera in self.spec.cameras:
            image = camera_image(observation, camera, 'name the cameras as the policy does')
            images.append(fit_images(image[None], self.spec.image_size)[0])
        return np.stack(images)
