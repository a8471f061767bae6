"""Training that diverged is said before its weights are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from smoothvla_ros.errors import UserError


def check_gradient(norm: float, learning_rate: float) -> None:
    """Raise UserError if the norm of a gradient is not finite: its step would spoil the weights."""
    if not math.isfinite(norm):
        raise _diverged(f'the gradient is {norm}', learning_rate)


def check_weights(parameters: Mapping[str, torch.Tensor], learning_rate: float) -> None:
    """Raise UserError naming the first parameter that is not finite.

    A finite gradient can still end in infinite weights, where the step is too long; after the last
    step no gradient follows that would show it.
    """
    for name, value in parameters.items():
        if not value.isfinite().all():
            raise _diverged(f'{name} has weights that are not finite', learning_rate)


def _diverged(what: str, learning_rate: float) -> UserError:
    return UserError(
        f'{what}: training diverged with learning_rate={learning_rate}; lower it, in another '
        'output folder'
    )
