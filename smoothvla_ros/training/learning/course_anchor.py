"""Keeps a policy on the starting policy's course while it becomes smoother.

A reward for smoothness says nothing of where a motion leads as long as every rollout of a group
succeeds, so whatever the updates add to all of a policy's actions alike stays: a little slower, a
little lower, a little to one side, until a grasp misses in some scene that no group showed. The
anchor stands in the loss against that. How far one chunk is expected to carry the tool is a
differentiable function of the policy's logits, without a sample's noise; it is pulled back to what
the starting policy expects in the same observation. How the chunk gets there is left to the reward.

The gripper is held step by step. It earns nothing where all succeed, and its tokens come from the
weights that the others' gradients move: in the long run it hesitates, and then a draw closes it in
time where the most probable token never does, or does so in mid-air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import GRIPPER, POSE

REST = 0.25
"""Share of the batch's RMS displacement below which a chunk counts as rest."""


@dataclass
class CourseSums:
    """Sums over chunks, each by its executed tokens, so that micro-batches add up.

    deviation: of `deviation`.  along, reference: of the displacement along the starting policy's,
    and of the starting policy's own, both relative as in `deviation`.  gripper: of
    `gripper_deviation`.
    """

    tokens: float = 0.0
    deviation: float = 0.0
    along: float = 0.0
    reference: float = 0.0
    gripper: float = 0.0

    def add(self, other: CourseSums) -> None:
        """Add the sums of other chunks."""
        self.tokens += other.tokens
        self.deviation += other.deviation
        self.along += other.along
        self.reference += other.reference
        self.gripper += other.gripper

    @property
    def error(self) -> float:
        """RMS distance between where a chunk leads and where it should, as a share of its way."""
        return float(np.sqrt(self.deviation / self.tokens)) if self.tokens else float('nan')

    @property
    def gripper_error(self) -> float:
        """RMS distance between the gripper's commands, as a share of their range."""
        return float(np.sqrt(self.gripper / self.tokens)) if self.tokens else float('nan')

    @property
    def pace(self) -> float:
        """How far the policy goes along the starting policy's course: 1 is as far, 0 rests."""
        return self.along / self.reference if self.reference > 0.0 else float('nan')


def displacement(actions: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return [B, 6]: the sum of a chunk's executed pose deltas, in the units of the actions.

    actions, mask (bool): [B, chunk, dimension].  Invalid steps may hold anything, NaN included.
    """
    zero = torch.zeros((), dtype=actions.dtype, device=actions.device)
    return torch.where(mask[..., POSE], actions[..., POSE], zero).sum(dim=1)


def rest_displacement(reference_actions: np.ndarray, mask: np.ndarray) -> float:
    """Return how far a chunk goes that counts as rest, `REST` times the RMS of those executed.

    Both [B, chunk, dimension], `mask` bool; in the units of the actions.
    """
    ways = np.where(mask[..., POSE], reference_actions[..., POSE], 0.0).sum(axis=1)
    executed = mask.any(axis=(1, 2))
    squares = (ways[executed].astype(np.float64) ** 2).sum(axis=-1)
    return REST * float(np.sqrt(squares.mean())) if len(squares) else 0.0


def required_rest(reference_actions: np.ndarray, mask: np.ndarray) -> float:
    """Return `rest_displacement` of a batch that holds a policy to a course.

    Raises UserError if no chunk leads anywhere: no deviation could be set in proportion to that.
    """
    rest = rest_displacement(reference_actions, mask)
    if rest == 0.0:
        raise UserError(
            f'the starting policy expects every one of the {len(mask)} chunks to lead nowhere, so '
            'that the course anchor has no course to hold; expected_actions of evaluate must be '
            'the mean of the distribution, else return None and give course_coefficient=0'
        )
    return rest


def gripper_deviation(
    expected_actions: torch.Tensor, reference_actions: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Return [B]: ((a - r) / 2)^2 on average over a chunk's executed steps, 0 of one without any.

    a, r: the gripper's command that the policy expects, and that the starting policy does. Step by
    step, because an early close and a late one would cancel each other in a chunk's sum.
    All [B, chunk, dimension], `mask` bool.  Invalid steps may hold anything, NaN included.
    """
    executed = mask[..., GRIPPER]
    apart = (expected_actions[..., GRIPPER] - reference_actions[..., GRIPPER]) / 2.0
    squares = torch.where(executed, apart, torch.zeros_like(apart)) ** 2
    return squares.sum(dim=1) / executed.sum(dim=1).clamp(min=1)


def deviation(
    expected_actions: torch.Tensor,
    reference_actions: torch.Tensor,
    mask: torch.Tensor,
    rest: float,
) -> tuple[torch.Tensor, CourseSums]:
    """Return [B]: |A - R|^2 / (|R|^2 + rest^2) of each chunk, and what to log of it.

    A: the displacement that the policy expects, R: the starting policy's. Relative, because a
    chunk that is short is one that has to be precise: a grasp, a release. The gripper has a penalty
    of its own, `gripper_deviation`.
    All [B, chunk, dimension], `mask` bool.  Invalid steps may hold anything, NaN included.
    """
    reference = displacement(reference_actions, mask)
    expected = displacement(expected_actions, mask)
    size = (reference * reference).sum(dim=-1) + rest * rest
    size = size.clamp(min=torch.finfo(size.dtype).tiny)  # no 0 / 0 where nothing ever moves
    relative = ((expected - reference) ** 2).sum(dim=-1) / size
    with torch.no_grad():
        tokens = mask.sum(dim=(1, 2)).to(relative)
        sums = CourseSums(
            tokens=float(tokens.sum()),
            deviation=float((tokens * relative).sum()),
            along=float((tokens * (expected * reference).sum(dim=-1) / size).sum()),
            reference=float((tokens * (reference * reference).sum(dim=-1) / size).sum()),
        )
    return relative, sums


def penalty(
    expected_actions: torch.Tensor,
    reference_actions: torch.Tensor,
    mask: torch.Tensor,
    rest: float,
    gripper_weight: float,
) -> tuple[torch.Tensor, CourseSums]:
    """Return [B]: `deviation` and, times its weight, `gripper_deviation`; and what to log of both.

    Arguments as `deviation` has them.
    """
    strayed, sums = deviation(expected_actions, reference_actions, mask, rest)
    gripper = gripper_deviation(expected_actions, reference_actions, mask)
    sums.gripper = float((mask.sum(dim=(1, 2)) * gripper.detach()).sum())
    return strayed + gripper_weight * gripper, sums
