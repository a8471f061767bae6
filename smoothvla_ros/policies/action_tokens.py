"""Actions in [-1, 1] as tokens, and the distribution over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from smoothvla_ros.errors import UserError


@dataclass(frozen=True)
class ActionBins:
    """`count` bins with centres spread evenly over [-1, 1], both ends included.

    The ends are centres because the gripper commands exactly -1 (open) and +1 (close).
    """

    count: int = 256

    @property
    def width(self) -> float:
        """Distance between two neighbouring centres."""
        return 2.0 / (self.count - 1)

    @property
    def centres(self) -> np.ndarray:
        """Return float64 [count], the action that each token stands for."""
        return np.linspace(-1.0, 1.0, self.count)

    def encode(self, actions: np.ndarray) -> np.ndarray:
        """Return int64 tokens of the shape of `actions`; actions beyond [-1, 1] are clipped."""
        clipped = np.clip(np.asarray(actions, dtype=np.float64), -1.0, 1.0)
        return np.rint((clipped + 1.0) / self.width).astype(np.int64)

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Return float64 actions of the shape of `tokens`.

        Raises ValueError for a token outside [0, count).
        """
        tokens = np.asarray(tokens)
        if tokens.size and (tokens.min() < 0 or tokens.max() >= self.count):
            raise ValueError(f'action tokens must lie in [0, {self.count})')
        return self.centres[tokens]


def token_log_probs(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return float32 log-probabilities of every bin, [..., bins], at the sampling temperature."""
    return torch.log_softmax(logits.float() / temperature, dim=-1)


def sampling_temperature(temperature: float) -> float:
    """Return what logits are divided by: 1 for temperature 0, which is greedy.

    Raises UserError for a negative or non-finite temperature.
    """
    if not (temperature >= 0.0 and np.isfinite(temperature)):
        raise UserError(f'temperature={temperature} is not usable; give 0 (greedy) or more')
    return temperature if temperature > 0.0 else 1.0


def choose_tokens(
    logits: torch.Tensor, temperature: float, seeds: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample one token per action from `logits` [rows, chunk, dimension, bins].

    Row i is drawn with a generator of its own, seeded with seeds[i]. Temperature 0 takes the most
    likely token; its log-probability is then the one at temperature 1.

    Returns tokens int64 and log-probabilities float32, both [rows, chunk, dimension].
    Raises UserError for a negative or non-finite temperature, and for logits that make no
    distribution.
    """
    log_probs = token_log_probs(logits, sampling_temperature(temperature))
    if temperature == 0.0:
        tokens = log_probs.argmax(dim=-1)
    else:
        tokens = tokens_at(log_probs, uniform_draws(log_probs.shape[1:-1], seeds))
    chosen = log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    check_log_probs(chosen)
    return tokens, chosen


def check_log_probs(chosen: torch.Tensor) -> None:
    """Raise UserError if the log-probability of a chosen token, of any shape, is NaN.

    One logit that is NaN or +inf makes all log-probabilities of its action NaN, and the token that
    is then chosen is the first or the last: full deflection.
    """
    if chosen.isnan().any():
        raise UserError(
            'the policy answers with values that are not numbers: its weights are damaged, or '
            'diverged in training; give another policy'
        )


def uniform_draws(shape: Sequence[int], seeds: Sequence[int]) -> torch.Tensor:
    """Return float64 [rows, *shape] in [0, 1), row i from a generator seeded with seeds[i]."""
    draws = [
        torch.rand(tuple(shape), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for seed in seeds
    ]
    return torch.stack(draws)


def tokens_at(log_probs: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Invert the cumulative probabilities of `log_probs` [..., bins] at `uniform` [...].

    On the CPU and in float64: alike on every device.  Returns int64 [...], where log_probs is.
    Raises ValueError if the shapes differ.
    """
    if log_probs.shape[:-1] != uniform.shape:
        raise ValueError(
            f'{list(log_probs.shape[:-1])} draws are needed, not {list(uniform.shape)}'
        )
    cumulative = log_probs.cpu().double().exp().cumsum(dim=-1)
    threshold = uniform.unsqueeze(-1) * cumulative[..., -1:]
    tokens = (cumulative <= threshold).sum(dim=-1)
    return tokens.clamp(max=log_probs.shape[-1] - 1).to(log_probs.device)
