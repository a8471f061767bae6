"""The supervised fine-tuning loop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from smoothvla_ros.policies.instructions import Vocabulary
from smoothvla_ros.policies.small_vla.modeling import (
    SmallVLAModel,
    SmallVLAOutput,
    to_channels_last,
)
from smoothvla_ros.training.learning.divergence import check_gradient, check_weights
from smoothvla_ros.training.sft.augmentation import augment, drop_words
from smoothvla_ros.training.sft.checkpoint import TrainingState, read_state, write_state
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.frames import FrameSet
from smoothvla_ros.training.sft.losses import SFTLoss, sft_loss
from smoothvla_ros.training.sft.validation import held_out_rows, validate_model

Report = Callable[[int, dict[str, float]], None]

_BAR = '{l_bar}{bar}| {elapsed}<{remaining}{postfix}'
_SMALLEST_BODY_SCALE = 1e-2


class SFTTrainer:
    """Trains one model on one set of frames; can stop at any step and go on from its state."""

    def __init__(
        self,
        model: SmallVLAModel,
        vocabulary: Vocabulary,
        frames: FrameSet,
        config: SFTConfig,
        state_folder: Path,
    ) -> None:
        """Continue from the state in `state_folder` if there is one."""
        self.config, self.frames, self.vocabulary = config, frames, vocabulary
        self.model = to_channels_last(model).train()
        self._state_folder = state_folder
        length = model.config.instruction_length
        self._sentences = np.stack([vocabulary.encode(i, length) for i in frames.instructions])
        kept, self.held_out = held_out_rows(frames.episode, config.held_out_share, config.seed)
        self._rows = kept
        self._cached_order: tuple[int, np.ndarray] | None = None
        self._parameters = dict(self.model.named_parameters())
        self._optimiser = _optimiser(self._parameters, config)
        self.average = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.step, self._seconds = 0, 0.0
        state = read_state(state_folder)
        if state is not None:
            self._restore(state)

    def run(self, report: Report | None = None) -> None:
        """Train until the steps or the minutes of the configuration are over, which come first.

        Raises UserError if a gradient is not finite, before the weights take that step, or if the
        weights are not when they are written.
        """
        started = time.monotonic() - self._seconds
        saved = time.monotonic()
        progress = tqdm(total=100.0, bar_format=_BAR, mininterval=1.0)
        rows_done, window = 0, time.monotonic()
        while (done := self._progress()) < 1.0:
            loss = self._train_step(done)
            self.step += 1
            self._seconds = time.monotonic() - started
            rows_done += self.config.batch_size
            if self.step % 50 == 0:
                figures = {
                    'loss': loss.total.item(),
                    'action': loss.action.item(),
                    'goal': loss.goal.item(),
                    'tokens_within_1': loss.close_tokens.item(),
                    'samples_per_s': rows_done / (time.monotonic() - window),
                }
                rows_done, window = 0, time.monotonic()
                progress.set_postfix({name: f'{value:.3g}' for name, value in figures.items()})
                if report is not None:
                    report(self.step, figures)
            progress.update(100.0 * self._progress() - progress.n)
            if time.monotonic() - saved > 60.0 * self.config.checkpoint_minutes:
                self.save_state()
                saved = time.monotonic()
                if report is not None:
                    report(self.step, self.validate())
        progress.close()
        self.save_state()

    def validate(self) -> dict[str, float]:
        """Return figures of the averaged weights on the held-out episodes."""
        if not len(self.held_out):
            return {}
        return validate_model(
            self.averaged_model(),
            self.frames,
            self.held_out,
            self._sentences,
            self.config.smoothing_bins,
        )

    def averaged_model(self) -> SmallVLAModel:
        """Return a copy of the model with the moving average of its weights, in eval mode."""
        model = SmallVLAModel(self.model.config)
        model.load_state_dict(self.average)
        return model.eval()

    def save_state(self) -> None:
        """Write what `run` needs to go on from here.

        Raises UserError if the weights are not finite; what was written before stays.
        """
        check_weights(self._parameters, self.config.learning_rate)
        optimiser: dict[str, torch.Tensor] = {}
        for name, parameter in self._parameters.items():
            for key, value in self._optimiser.state.get(parameter, {}).items():
                optimiser[f'{name}/{key}'] = value
        write_state(
            self._state_folder,
            TrainingState(
                step=self.step,
                seconds=self._seconds,
                model=self.model.state_dict(),
                average=self.average,
                optimiser=optimiser,
                record={'words': list(self.vocabulary.words)},
            ),
        )

    def _restore(self, state: TrainingState) -> None:
        self.model.load_state_dict(state.model)
        self.average = state.average
        for key, value in state.optimiser.items():
            name, entry = key.rsplit('/', 1)
            parameter = self._parameters[name]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)
            self._optimiser.state[parameter][entry] = value
        self.step, self._seconds = state.step, state.seconds

    def _progress(self) -> float:
        """Share of the training that is over, by steps or by the clock: whichever is further."""
        steps, seconds = self.config.steps, 60.0 * self.config.minutes
        by_steps = self.step / steps if steps else 0.0
        by_clock = self._seconds / seconds if seconds else 0.0
        return max(by_steps, by_clock)

    def _train_step(self, done: float) -> SFTLoss:
        for group in self._optimiser.param_groups:
            group['lr'] = self._learning_rate(done)
        # One generator a step, so that a resumed run draws what an uninterrupted one would.
        rng = np.random.default_rng((self.config.seed, self.step))
        batch = augment(self.frames.batch(self._rows_of_step()), self.config, rng)
        words = drop_words(self._sentences[batch.sentences], self.config.word_dropout, rng)
        with torch.autocast('cpu', torch.bfloat16, enabled=self.config.bfloat16):
            output: SmallVLAOutput = self.model(batch.images, torch.from_numpy(words), batch.body)
        loss = sft_loss(output, batch, self.config)
        self._optimiser.zero_grad(set_to_none=True)
        loss.total.backward()
        self._clip_gradients()
        self._optimiser.step()
        self._update_average()
        return loss

    def _clip_gradients(self) -> None:
        limit = self.config.gradient_norm
        norm = float(torch.nn.utils.clip_grad_norm_(self._parameters.values(), limit))
        check_gradient(norm, self.config.learning_rate)

    def _rows_of_step(self) -> np.ndarray:
        """Walk through a fresh permutation of the rows each epoch."""
        first = self.step * self.config.batch_size
        positions = np.arange(first, first + self.config.batch_size)
        epochs = positions // len(self._rows)
        rows = np.empty(len(positions), dtype=np.int64)
        for epoch in np.unique(epochs):
            order = self._order(int(epoch))
            rows[epochs == epoch] = order[positions[epochs == epoch] % len(order)]
        return rows

    def _order(self, epoch: int) -> np.ndarray:
        if self._cached_order is None or self._cached_order[0] != epoch:
            rng = np.random.default_rng((self.config.seed, 1 << 32, epoch))
            self._cached_order = (epoch, rng.permutation(self._rows))
        return self._cached_order[1]

    def _learning_rate(self, done: float) -> float:
        warm = min(1.0, (self.step + 1) / max(self.config.warmup_steps, 1))
        return self.config.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * done))

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early weights are far from good: let the average forget them.
        decay = min(self.config.average_decay, (1.0 + self.step) / (10.0 + self.step))
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                self.average[name].lerp_(value, 1.0 - decay)
            else:
                self.average[name].copy_(value)


def set_body_statistics(model: SmallVLAModel, frames: FrameSet) -> None:
    """Set the model's normalisation of the body to the mean and spread of the frames."""
    mean, spread = frames.body.mean(0), frames.body.std(0)
    model.body_mean.copy_(torch.from_numpy(mean))
    model.body_scale.copy_(torch.from_numpy(np.maximum(spread, _SMALLEST_BODY_SCALE)))


def _optimiser(parameters: dict[str, torch.nn.Parameter], config: SFTConfig) -> torch.optim.AdamW:
    decayed = [value for value in parameters.values() if value.ndim >= 2]
    plain = [value for value in parameters.values() if value.ndim < 2]
    groups: list[dict[str, Any]] = [
        {'params': decayed, 'weight_decay': config.weight_decay},
        {'params': plain, 'weight_decay': 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98), fused=True)
