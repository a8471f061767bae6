"""OpenVLA and OpenVLA-OFT behind the `Policy` seam."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.arm import Arm
from smoothvla_ros.libero import ACTION_DIMENSION, ACTION_SPACE
from smoothvla_ros.policies.action_tokens import (
    check_log_probs,
    choose_tokens,
    sampling_temperature,
    token_log_probs,
    tokens_at,
    uniform_draws,
)
from smoothvla_ros.policies.libero_proprioception import libero_proprioception
from smoothvla_ros.policies.openvla.adapters import LEARNER
from smoothvla_ros.policies.openvla.base import Base, forget_base
from smoothvla_ros.policies.openvla.captured import (
    CapturedChunks,
    CapturedDecoding,
    CapturedDecodings,
    fits,
)
from smoothvla_ros.policies.openvla.image_preparation import ImagePreparation
from smoothvla_ros.policies.openvla.images import normalise
from smoothvla_ros.policies.openvla.modeling import Decoding, Inputs
from smoothvla_ros.policies.openvla.settings import (
    CAMERA_SIZE,
    PARALLEL,
    REGRESSION,
    SETTINGS,
    OpenVLASettings,
)
from smoothvla_ros.policies.openvla.statistics import (
    DataScaling,
    libero_commands,
)
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec, TokenStatistics
from smoothvla_ros.policies.weights_folder import write_atomically
from smoothvla_ros.records import Observation

# OpenVLA-OFT adds this to the range of an action, OpenVLA does not.
_OFT_MARGIN = 1e-8


class OpenVLAPolicy:
    """One checkpoint, run as its settings say."""

    def __init__(
        self,
        base: Base,
        settings: OpenVLASettings,
        scaling: DataScaling,
        arm: Arm | None = None,
        adapter: str | None = None,
    ) -> None:
        """base, scaling: of the same settings.  arm: gives the proprioception; None is the Panda.

        adapter: the name of one on the base, which this policy runs with and owns.
        """
        self.base = base
        self.settings = settings
        self._adapter = adapter
        if adapter is not None:
            self._forget = weakref.finalize(self, base.discard, adapter)
            self._forget.atexit = False
        self._scaling = scaling
        if settings.proprioception:
            self._arm = arm if arm is not None else Arm.panda()
        self._parallel = settings.decoding == PARALLEL
        self._captured_chunks: CapturedChunks | None = None
        self._captured_decodings: CapturedDecodings | None = None
        self._record_anew()
        self._images = ImagePreparation(settings, base.image_size)
        self.spec = PolicySpec(
            chunk=settings.chunk,
            action_dimension=ACTION_DIMENSION,
            bins=base.action_ids.bins,
            action_space=ACTION_SPACE,
            cameras=settings.cameras,
            image_size=CAMERA_SIZE,
            samples=settings.answer != REGRESSION,
        )

    @property
    def module(self) -> torch.nn.Module:
        """The network, in eval mode."""
        return self.base.network

    @torch.no_grad()
    def act(
        self, observations: Sequence[Observation], *, temperature: float, seeds: Sequence[int]
    ) -> ActionChunks:
        """Decide for each observation; see `Policy.act`.

        A regression head has no distribution: it answers at temperature 0 only, with the tokens
        nearest to its answer and log-probabilities of 0.
        """
        if len(seeds) != len(observations):
            raise ValueError(f'{len(observations)} observations need as many seeds')
        sampling_temperature(temperature)
        shape = (self.spec.chunk, self.spec.action_dimension)
        parts = []
        with self._running():
            for first in range(0, len(observations), self.settings.rows):
                inputs = self._inputs(observations[first : first + self.settings.rows])
                row_seeds = seeds[first : first + self.settings.rows]
                parts.append(self._decide(inputs, temperature, row_seeds))
        normalised = np.concatenate([np.empty((0, *shape)), *(part[0] for part in parts)])
        return ActionChunks(
            actions=self._commands(normalised),
            tokens=np.concatenate([np.empty((0, *shape), np.int64), *(part[1] for part in parts)]),
            log_probs=np.concatenate(
                [np.empty((0, *shape), np.float32), *(part[2] for part in parts)]
            ),
        )

    def evaluate(
        self, observations: Sequence[Observation], tokens: np.ndarray, *, temperature: float
    ) -> TokenStatistics:
        """Return log-probabilities and entropy of `tokens`; see `Policy.evaluate`.

        Raises UserError for a regression head, which has neither.
        """
        self._check_tokens_answer('score tokens')
        divisor = sampling_temperature(temperature)
        network = self.base.network
        given = torch.as_tensor(np.asarray(tokens), device=self.base.device)
        with self._running():
            inputs = self._inputs(observations)
            if self._parallel:
                hidden = network.parallel_hidden(inputs, given[0].numel())
            else:
                hidden = network.sequential_hidden(inputs, given.flatten(1))
            logits = network.action_logits(hidden).unflatten(1, given.shape[1:])
        distribution = token_log_probs(logits, divisor)
        probabilities = distribution.exp()
        # [bins, dimension]: what each token stands for, in each dimension's own units.
        bins = self.base.action_ids.decode(np.arange(self.spec.bins))
        commands = self._commands(np.repeat(bins[:, None], self.spec.action_dimension, axis=1))
        values = torch.as_tensor(commands, dtype=torch.float32, device=logits.device)
        return TokenStatistics(
            log_probs=distribution.gather(-1, given.unsqueeze(-1)).squeeze(-1),
            entropy=-(probabilities * distribution).sum(dim=-1),
            expected_actions=torch.einsum('bcdn,nd->bcd', probabilities, values),
        )

    def expect(self, observations: Sequence[Observation]) -> None:
        """Begin to prepare the images of what `evaluate` will be asked for."""
        self._images.expect(observations)

    def lengths(self, observations: Sequence[Observation]) -> list[int]:
        """Return the tokens of each row of `evaluate`: images, prompt and answer."""
        prompts = [self.base.prompt.ids(observation.instruction) for observation in observations]
        answer = self.spec.chunk * self.spec.action_dimension
        images = len(self.spec.cameras)
        # Said in parallel, an end token follows; one after the other, the last goes in nowhere.
        return self.base.network.lengths(prompts, images, answer + (1 if self._parallel else -1))

    def shard_units(self) -> list[torch.nn.Module]:
        """Return the blocks that run; a policy that is loaded later has a network of its own."""
        forget_base(self.base)
        return self.base.network.shard_units

    def prepare_training(self) -> None:
        """Put an adapter on the network if there is none, and give it alone gradients.

        Raises UserError for a regression head.
        """
        self._check_tokens_answer('be trained by GRPO')
        with self.base.lock:
            adapters = self.base.adapters
            if self._adapter == LEARNER:
                return
            if self._adapter is None:
                self._adapter = adapters.add(self.settings.lora_rank, self.settings.lora_alpha)
            else:
                self._forget.detach()
            adapters.become_learner(self._adapter)
            self._adapter = LEARNER
            self._record_anew()
            self.base.network.set_gradient_checkpointing(self.settings.gradient_checkpointing)

    def changes(self) -> Mapping[str, Callable[[], torch.Tensor]]:
        """Return what computes the adapter's change of each published weight; empty without one."""
        return {} if self._adapter is None else self.base.adapters.changes(self._adapter)

    def save(self, folder: Path) -> None:
        """Write settings and adapter; the settings name the published files, which stay put."""
        settings = replace(self.settings, checkpoint=str(self.base.checkpoint.folder.resolve()))
        with write_atomically(folder) as temporary:
            (temporary / SETTINGS).write_text(json.dumps(to_mapping(settings), indent=2) + '\n')
            if self._adapter is not None:
                self.base.adapters.write(self._adapter, temporary)

    def _record_anew(self) -> None:
        """Forget the recordings: none is of the adapter that is in use from now on."""
        count = self.settings.chunk * ACTION_DIMENSION
        if self.settings.captured and self._parallel:
            self._captured_chunks = CapturedChunks(self.base.network, count)
        elif self.settings.captured:
            self._captured_decodings = CapturedDecodings(self.base.network, count)

    @property
    def _serial(self) -> int:
        return self.base.adapters.serial(self._adapter)

    @contextmanager
    def _running(self) -> Iterator[None]:
        with self.base.running(self._adapter):
            yield

    def _check_tokens_answer(self, purpose: str) -> None:
        if self.settings.answer == REGRESSION:
            raise UserError(
                f'policy {self.base.checkpoint.folder} answers with a regression head and cannot '
                f'{purpose}: the language model was never trained to say action tokens, so there '
                'are no log-probabilities to learn from; give a checkpoint that answers with tokens'
            )

    def _decide(
        self, inputs: Inputs, temperature: float, seeds: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return normalised actions, tokens and log-probabilities, all [B, chunk, dimension]."""
        shape = (self.spec.chunk, self.spec.action_dimension)
        if self.base.network.action_head is not None:
            return self._regress(inputs, temperature)
        if self._parallel:
            logits = self._answer(inputs)
            tokens, log_probs = choose_tokens(logits.unflatten(1, shape), temperature, seeds)
        else:
            tokens, log_probs = self._say(inputs, temperature, seeds)
        chosen = tokens.cpu().numpy()
        return self.base.action_ids.decode(chosen), chosen, log_probs.cpu().numpy()

    def _answer(self, inputs: Inputs) -> torch.Tensor:
        """Return the network's `parallel_answer`, from a recording where there can be one."""
        if self._captured_chunks is not None and fits(inputs):
            return self._captured_chunks.answer(inputs, self._serial)
        count = self.spec.chunk * self.spec.action_dimension
        return self.base.network.parallel_answer(inputs, count)

    def _say(
        self, inputs: Inputs, temperature: float, seeds: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose the tokens of one step one after the other."""
        count = self.spec.action_dimension
        uniform = uniform_draws((1, count), seeds)
        decoding: Decoding | CapturedDecoding
        # Recordings of four rows came to other tokens on a GPU: docs/openvla.md, "Speed".
        if self._captured_decodings is not None and len(inputs.prompts) == 1:
            decoding = self._captured_decodings.start(inputs, self._serial)
        else:
            decoding = self.base.network.start(inputs, count)
        tokens: list[torch.Tensor] = []
        scores: list[torch.Tensor] = []
        for place in range(count):
            if tokens:
                decoding.say(tokens[-1])
            log_probs = token_log_probs(decoding.logits(), sampling_temperature(temperature))
            if temperature == 0.0:
                chosen = log_probs.argmax(dim=-1)
            else:
                chosen = tokens_at(log_probs, uniform[:, 0, place])
            tokens.append(chosen)
            scores.append(log_probs.gather(-1, chosen.unsqueeze(-1)).squeeze(-1))
        log_probs = torch.stack(scores, dim=1).unsqueeze(1)
        check_log_probs(log_probs)
        return torch.stack(tokens, dim=1).unsqueeze(1), log_probs

    def _regress(
        self, inputs: Inputs, temperature: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if temperature > 0.0:
            self._check_tokens_answer(f'sample at temperature {temperature:g}')
        normalised = self._answer(inputs).float().cpu().numpy().astype(np.float64)
        tokens = self.base.action_ids.encode(normalised)
        return normalised, tokens, np.zeros(tokens.shape, np.float32)

    def _commands(self, normalised: np.ndarray) -> np.ndarray:
        margin = _OFT_MARGIN if self._parallel else 0.0
        return libero_commands(self._scaling.action.scale(normalised, margin))

    def _inputs(self, observations: Sequence[Observation]) -> Inputs:
        device = self.base.device
        seen = torch.from_numpy(self._images.prepared(observations)).to(device)
        pixels = normalise(seen, self.base.normalisation)
        told = None
        if self._scaling.proprioception is not None:
            rows = [
                self._scaling.proprioception.normalise(
                    libero_proprioception(self._arm, observation, self._scaling.data_set)
                )
                for observation in observations
            ]
            told = torch.from_numpy(np.stack(rows)).float().to(device)
        prompts = [self.base.prompt.ids(observation.instruction) for observation in observations]
        return Inputs(pixels, prompts, told)
