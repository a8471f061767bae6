"""What a policy answered, held against what it promises: a wrong answer is named where it is."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.policy import ActionChunks, PolicySpec


def checked_answer(chunks: ActionChunks, spec: PolicySpec, rows: int) -> ActionChunks:
    """Return `chunks`, the answer to `rows` observations.

    Raises UserError for an array of another shape than [rows, chunk, dimension], and for a number
    that is not finite.
    """
    expected = (rows, spec.chunk, spec.action_dimension)
    for name in ('actions', 'tokens', 'log_probs'):
        values = np.asarray(getattr(chunks, name))
        if values.shape != expected:
            raise UserError(
                f'the policy answered {name} of shape {list(values.shape)}; its spec promises '
                f'{list(expected)}: observations, chunk, dimension'
            )
        if not np.isfinite(values).all():
            raise UserError(f'the policy answered {name} that are not finite')
    return chunks
