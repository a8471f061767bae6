"""The GRPO loss of a batch of tokens: clipped ratio, optional KL, sums instead of means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch


@dataclass
class TokenSums:
    """Sums over the valid tokens of a batch, so that batches add up whatever their size.

    entropy in nat.  policy_divergence, reference_divergence: k3 estimates of the divergence from
    the policy that sampled and from the frozen reference, nat.  ratio_drift: sum of |ratio - 1|.
    clipped: tokens whose gradient the clip removed.
    """

    tokens: int = 0
    entropy: float = 0.0
    policy_divergence: float = 0.0
    reference_divergence: float = 0.0
    ratio_drift: float = 0.0
    clipped: int = 0

    @classmethod
    def of(cls, values: Sequence[float]) -> TokenSums:
        """Return the sums in the order of the fields."""
        sums = cls(*values)  # type: ignore[arg-type]
        sums.tokens, sums.clipped = int(sums.tokens), int(sums.clipped)
        return sums

    def add(self, other: TokenSums) -> None:
        """Add the sums of other tokens."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def k3_divergence(log_probs: torch.Tensor, other_log_probs: torch.Tensor) -> torch.Tensor:
    """Estimate KL(policy || other) a token from tokens that the policy sampled.

    exp(d) - d - 1 with d = other - policy: never negative, unbiased (Schulman, 2020, "k3").
    """
    difference = other_log_probs - log_probs
    return torch.expm1(difference) - difference


def grpo_loss(
    log_probs: torch.Tensor,
    entropy: torch.Tensor,
    old_log_probs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    *,
    clip_low: float,
    clip_high: float,
    entropy_coefficient: float = 0.0,
    kl_coefficient: float = 0.0,
    reference_log_probs: torch.Tensor | None = None,
) -> tuple[torch.Tensor, TokenSums]:
    """Return the loss summed over the valid tokens, and the sums to log.

    All tensors [B, chunk, dimension], float32, `mask` bool. Each token has its own ratio
    r = exp(log_prob - old), clipped to [1 - clip_low, 1 + clip_high] (asymmetric: DAPO, 2025).
    The caller divides by the valid tokens of the whole batch, so that neither the order nor the
    size of micro-batches matters. Invalid tokens may hold anything, NaN included.
    """
    zero = torch.zeros((), dtype=log_probs.dtype, device=log_probs.device)
    log_probs = torch.where(mask, log_probs, zero)
    advantages = torch.where(mask, advantages, zero)
    entropy = torch.where(mask, entropy, zero)
    old_log_probs = torch.where(mask, old_log_probs, zero)
    ratio = torch.exp(log_probs - old_log_probs)
    clipped_ratio = torch.clamp(ratio, 1.0 - clip_low, 1.0 + clip_high)
    unclipped, clipped = ratio * advantages, clipped_ratio * advantages
    loss = -torch.minimum(unclipped, clipped).sum()
    if entropy_coefficient > 0.0:
        loss = loss - entropy_coefficient * entropy.sum()
    sums = TokenSums(tokens=int(mask.sum()))
    if reference_log_probs is not None:
        divergence = k3_divergence(log_probs, torch.where(mask, reference_log_probs, zero))
        loss = loss + kl_coefficient * divergence.sum()
        sums.reference_divergence = float(divergence.detach().sum())
    with torch.no_grad():
        sums.entropy = float(entropy.sum())
        sums.policy_divergence = float(k3_divergence(old_log_probs, log_probs).sum())
        sums.ratio_drift = float((ratio - 1.0).abs().sum())
        sums.clipped = int((clipped < unclipped).sum())
    return loss, sums
