"""Keeps a policy from becoming smooth by becoming slow, without a sample's noise.

What a reward can say of pace it says through whole rollouts, and what a policy gradient credits are
single chunks: a chunk that moves a little less is smoother itself, and what it costs in time is
charged to all. The anchor closes that gap in the loss. The motion that a policy expects to command
is a differentiable function of its logits; where it falls short of the starting policy's, in the
same observations, it is pulled back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

TRANSLATION = slice(0, 3)
"""Where an action that is a tool-pose delta, as LIBERO's, holds its translation."""

REST = 0.25
"""Share of the batch's RMS motion below which a step counts as rest, and ever less in the pace."""


PHASES = 10
"""Parts of a rollout that each keep their pace: a quick reach does not pay for a slow lift."""


def part_of(phases: np.ndarray) -> np.ndarray:
    """Return the part, 0 to `PHASES` - 1, that each chunk [B] begins in."""
    return np.minimum((np.asarray(phases) * PHASES).astype(np.int64), PHASES - 1)


@dataclass
class MotionSums:
    """Sums over the valid steps of each part, [PHASES], so that micro-batches add up.

    along: of `relative_motion`.  reference: of the same for the starting policy itself.
    """

    along: np.ndarray = field(default_factory=lambda: np.zeros(PHASES))
    reference: np.ndarray = field(default_factory=lambda: np.zeros(PHASES))

    def add(self, phases: np.ndarray, along: np.ndarray, reference: np.ndarray) -> None:
        """Add chunks [B] that begin at the given phases."""
        parts = part_of(phases)
        np.add.at(self.along, parts, along)
        np.add.at(self.reference, parts, reference)

    @property
    def pace(self) -> float:
        """How fast the policy goes along the starting policy's motion: 1 is as fast, 0 rests."""
        total = float(self.reference.sum())
        return float(self.along.sum()) / total if total > 0.0 else 1.0

    @property
    def shortfall(self) -> np.ndarray:
        """By how much each part is slower than the starting policy, as a share; 0 if faster."""
        missing = np.maximum(self.reference - self.along, 0.0)
        return missing / np.where(self.reference > 0.0, self.reference, 1.0)


def rest_motion(reference_actions: np.ndarray, mask: np.ndarray) -> float:
    """Return the translation a step that counts as rest, `REST` times the RMS of the valid ones.

    All [B, chunk, dimension], `mask` bool; in the units of the actions.
    """
    squares = (reference_actions[..., TRANSLATION].astype(np.float64) ** 2).sum(axis=-1)
    valid = squares[mask[..., 0]]
    return REST * float(np.sqrt(valid.mean())) if len(valid) else 0.0


def relative_motion(
    expected_actions: torch.Tensor,
    reference_actions: torch.Tensor,
    mask: torch.Tensor,
    rest: float,
) -> torch.Tensor:
    """Return [B]: each chunk's sum over its valid steps of <a, r> / (<r, r> + rest^2).

    a: the expected translation, r: the starting policy's. Relative, because every step takes the
    same time: a policy that halves its speed where it is slow anyway loses as much time as one
    that halves it where it is fast.
    All [B, chunk, dimension], `mask` bool.  Invalid steps may hold anything, NaN included.
    """
    valid = mask[..., 0]
    zero = torch.zeros((), dtype=expected_actions.dtype, device=expected_actions.device)
    reference = torch.where(valid[..., None], reference_actions[..., TRANSLATION], zero)
    along = (expected_actions[..., TRANSLATION] * reference).sum(dim=-1)
    size = (reference * reference).sum(dim=-1) + rest * rest
    some = size.clamp(min=torch.finfo(size.dtype).tiny)  # no 0 / 0 where nothing ever moves
    return torch.where(valid, along / some, zero).sum(dim=-1)


def pull(sums: MotionSums, coefficient: float, valid_tokens: int) -> np.ndarray:
    """Return the weight of `relative_motion` in the summed loss, for each part [PHASES].

    With it the loss has the gradient of the penalty: coefficient / 2 times the mean over the whole
    batch's motion of max(0, 1 - pace)^2 of its part, per valid token as the rest of the loss. It is
    linear in the motion once the pace is known, so that neither the order nor the size of
    micro-batches matters. A part that keeps its pace is not pulled.
    """
    total = float(sums.reference.sum())
    if total <= 0.0:
        return np.zeros(PHASES)
    return coefficient * sums.shortfall * valid_tokens / total
