"""The interface of everything that changes chunks after the policy has decided them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np


class ChunkFilter(Protocol):
    """The filter of one robot and one episode: it may remember what it was given before."""

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Return the actions to execute before the policy is asked again, [1 to chunk, dimension].

        actions: [chunk, dimension] as the policy decided them from what it sees now; not changed.
        The last column is the gripper.
        """
        ...


ChunkFilterFactory = Callable[[], ChunkFilter]
"""Makes a filter that has seen nothing yet; called at the start of every episode."""
