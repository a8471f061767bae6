"""What a policy's `evaluate` returns, held to what an update needs of it."""

from __future__ import annotations

import torch

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy import TokenStatistics

MOST_FIRST_DRIFT = 0.2
"""Mean |ratio - 1| before the first step that is still rounding: a policy that judges in another
precision than it decided in comes to 0.05, one that judges at another temperature to 0.6."""


def checked_statistics(
    statistics: TokenStatistics, shape: tuple[int, ...], *, learns: bool
) -> TokenStatistics:
    """Return what `evaluate` said of tokens of a shape [B, chunk, dimension].

    learns: whether a gradient is wanted.  Where the chunks lead is for `checked_expectation`.
    Raises UserError naming what is no tensor of floating numbers of that shape, or has no gradient.
    """
    for name in ('log_probs', 'entropy'):
        _checked_tensor(name, getattr(statistics, name, None), shape)
    if learns and not statistics.log_probs.requires_grad:
        raise UserError(
            "the policy's evaluate returned log_probs without a gradient; compute them on the "
            'graph, from parameters that prepare_training lets learn'
        )
    return statistics


def checked_expectation(
    statistics: TokenStatistics, shape: tuple[int, ...], *, learns: bool
) -> torch.Tensor:
    """Return `expected_actions` of tokens of a shape, as the course anchor needs them.

    learns: whether a gradient is wanted.  Zeros are an answer; None is that there is none.
    Raises UserError where there is none, or it is no tensor of floating numbers of that shape, or
    has no gradient: nothing would be held to a course, without a word.
    """
    expected = getattr(statistics, 'expected_actions', None)
    if expected is None:
        raise UserError(
            "the policy's evaluate returned no expected_actions, which the course anchor compares; "
            'return them, or give course_coefficient=0'
        )
    values = _checked_tensor('expected_actions', expected, shape)
    if learns and not values.requires_grad:
        raise UserError(
            "the policy's evaluate returned expected_actions without a gradient, so that the "
            'course anchor holds nothing; compute them on the graph, or return None and give '
            'course_coefficient=0'
        )
    return values


def _checked_tensor(name: str, values: object, shape: tuple[int, ...]) -> torch.Tensor:
    place = f"the policy's evaluate returned {name}"
    if not isinstance(values, torch.Tensor) or not values.is_floating_point():
        given = values.dtype if isinstance(values, torch.Tensor) else type(values).__name__
        raise UserError(f'{place} as {given}; give a tensor of floating numbers')
    if tuple(values.shape) != tuple(shape):
        raise UserError(
            f'{place} of shape {list(values.shape)} for tokens of {list(shape)}; give one '
            'number a token'
        )
    return values


def require_same_judgement(first_ratio_drift: float, temperature: float) -> None:
    """Raise UserError where `evaluate` does not say what `act` said of the same tokens.

    first_ratio_drift: mean |ratio - 1| before the first optimiser step.  Every ratio would be of
    another distribution than the one that was sampled, and what is learned of no meaning.
    """
    if not first_ratio_drift <= MOST_FIRST_DRIFT:
        raise UserError(
            f'before the first step the ratios differ from 1 by {first_ratio_drift:.3g} on '
            f'average, more than {MOST_FIRST_DRIFT:g}: evaluate must return the log-probabilities '
            f'that act gave the same tokens at the same temperature ({temperature:g}), also after '
            'save and load; compare the two'
        )
