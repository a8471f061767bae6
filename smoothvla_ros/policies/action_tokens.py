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


def choose_tokens(
    logits: torch.Tensor, temperature: float, seeds: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample one token per action from `logits` [rows, chunk, dimension, bins].

    Row i is drawn with a generator of its own, seeded with seeds[i]. Temperature 0 takes the most
    likely token; its log-probability is then the one at temperature 1.

    Returns tokens int64 and log-probabilities float32, both [rows, chunk, dimension].
    Raises UserError for a negative or non-finite temperature.
    """
    if not (temperature >= 0.0 and np.isfinite(temperature)):
        raise UserError(f'temperature={temperature} is not usable; give 0 (greedy) or more')
    log_probs = token_log_probs(logits, temperature if temperature > 0.0 else 1.0)
    if temperature == 0.0:
        tokens = log_probs.argmax(dim=-1)
    else:
        tokens = torch.stack(
            [_sample(row, seed) for row, seed in zip(log_probs, seeds, strict=True)]
        )
    return tokens, log_probs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def _sample(log_probs: torch.Tensor, seed: int) -> torch.Tensor:
    """Draw by inverting the cumulative probabilities, on the CPU: alike on every device."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(log_probs.shape[:-1], generator=generator, dtype=torch.float64)
    cumulative = log_probs.cpu().double().exp().cumsum(dim=-1)
    threshold = uniform.unsqueeze(-1) * cumulative[..., -1:]
    tokens = (cumulative <= threshold).sum(dim=-1)
    return tokens.clamp(max=log_probs.shape[-1] - 1).to(log_probs.device)
