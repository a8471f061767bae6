"""What supervised fine-tuning minimises."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from smoothvla_ros.policies.action_tokens import token_log_probs
from smoothvla_ros.policies.small_vla.modeling import SmallVLAOutput
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.training.sft.frames import FrameBatch


@dataclass(frozen=True)
class SFTLoss:
    """Scalars: total (with gradient), its parts, share of greedy tokens within one bin."""

    total: torch.Tensor
    action: torch.Tensor
    goal: torch.Tensor
    close_tokens: torch.Tensor


def action_loss(
    logits: torch.Tensor, actions: torch.Tensor, valid: torch.Tensor, smoothing_bins: float
) -> torch.Tensor:
    """Cross-entropy against a Gaussian over the bins around each demonstrated action.

    logits: [B, chunk, dimension, bins].  actions: [B, chunk, dimension] in [-1, 1].
    valid: bool [B, chunk].  Neighbouring bins share evidence, so that the most likely bin moves
    smoothly with the observation. Returns the mean over valid actions, nats.
    """
    bins = logits.shape[-1]
    centres = torch.linspace(-1.0, 1.0, bins, device=logits.device)
    deviation = smoothing_bins * 2.0 / (bins - 1)
    offsets = (centres - actions.clamp(-1.0, 1.0).unsqueeze(-1)) / deviation
    targets = torch.softmax(-0.5 * offsets.square(), dim=-1)
    losses = -(targets * token_log_probs(logits, 1.0)).sum(-1).mean(-1)
    return (losses * valid).sum() / valid.sum().clamp(min=1)


def goal_loss(estimate: torch.Tensor, goal: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Smooth absolute error of the goal estimate over its valid entries, all [B, size].

    Quadratic below one tenth of the unit (1 cm), linear above it.
    """
    errors = torch.nn.functional.smooth_l1_loss(estimate, goal, beta=0.1, reduction='none')
    return (errors * valid).sum() / valid.sum().clamp(min=1)


def sft_loss(output: SmallVLAOutput, batch: FrameBatch, config: SFTConfig) -> SFTLoss:
    """Action loss plus weighted goal loss of one batch."""
    action = action_loss(output.logits, batch.actions, batch.valid, config.smoothing_bins)
    goal = goal_loss(output.goal, batch.goal, batch.goal_valid)
    with torch.no_grad():
        bins = output.logits.shape[-1]
        greedy = output.logits.argmax(-1)
        wanted = ((batch.actions.clamp(-1.0, 1.0) + 1.0) * (bins - 1) / 2.0).round()
        close = ((greedy - wanted).abs() <= 1.0) & batch.valid.unsqueeze(-1)
        share = close.sum() / (batch.valid.sum().clamp(min=1) * wanted.shape[-1])
    return SFTLoss(action + config.goal_weight * goal, action, goal, share)
