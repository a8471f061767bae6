"""What a policy answered, held against what it promises: a wrong answer is named where it is."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.libero import ACTION_SPACE
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec

# Of numbers that were rounded to float32.
_ROUNDING = 1e-4


def checked_answer(
    chunks: ActionChunks, spec: PolicySpec, rows: int, policy: str = 'the policy'
) -> ActionChunks:
    """Return `chunks`, the answer to `rows` observations.

    policy: whose it is, for the error.
    Raises UserError for an array of another shape than [rows, chunk, dimension] or another kind of
    number, and for a number that is not finite or out of its range. What joints may reach is for
    the guard to say, which knows them.
    """
    expected = (rows, spec.chunk, spec.action_dimension)
    most = 1.0 if spec.action_space == ACTION_SPACE else np.inf
    ranges = {
        'actions': ('f', -most, most),
        'tokens': ('i', 0, spec.bins - 1),
        'log_probs': ('f', -np.inf, 0.0),
    }
    for name, (kind, low, high) in ranges.items():
        values = getattr(chunks, name)
        place = f'{policy} answered {name}'
        if not isinstance(values, np.ndarray) or values.dtype.kind != kind:
            given = getattr(values, 'dtype', type(values).__name__)
            wanted = 'floating' if kind == 'f' else 'whole'
            raise UserError(f'{place} as {given}; give a NumPy array of {wanted} numbers')
        if values.shape != expected:
            raise UserError(
                f'{place} of shape {list(values.shape)}; its spec promises {list(expected)}: '
                'observations, chunk, dimension'
            )
        if not np.isfinite(values).all():
            raise UserError(f'{place} that are not finite')
        if values.min(initial=high) < low - _ROUNDING or values.max(initial=low) > high + _ROUNDING:
            raise UserError(
                f'{place} from {values.min():g} to {values.max():g}; '
                f'they lie in [{low:g}, {high:g}]'
            )
    return chunks
