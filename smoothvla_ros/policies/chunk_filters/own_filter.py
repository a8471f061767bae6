"""A filter of the user's own, held to what it has to return."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from smoothvla_ros.errors import UserError
from smoothvla_ros.user_function import own_code


class OwnFilter:
    """Calls one's own filter and checks each answer before a robot is given it."""

    def __init__(self, make: Callable[..., Any], settings: Mapping[str, Any], place: str) -> None:
        """Make the filter of one episode; `place` begins every error.

        Raises UserError for whatever `make` raises, and for a result that cannot be called.
        """
        self._place = place
        with _own(place, f'cannot be made with {dict(settings)}:'):
            self._filter = make(**settings)
        if not callable(self._filter):
            raise UserError(
                f'{place} made {type(self._filter).__name__}; return what can be called with a '
                'chunk of actions'
            )

    def __call__(self, actions: np.ndarray) -> np.ndarray:
        """Return the filter's answer, float64 [1 to chunk, dimension].

        Raises UserError for whatever it raises, another shape, and numbers that are not finite.
        """
        with _own(self._place, 'raised'):
            answer = self._filter(actions)
        return self._checked(answer, *actions.shape)

    def _checked(self, answer: Any, chunk: int, columns: int) -> np.ndarray:
        needed = f'return actions [1 to {chunk}, {columns}]'
        try:
            executed = np.asarray(answer, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f'{self._place} returned no numbers: {error}; {needed}') from error
        if executed.ndim != 2 or not 1 <= len(executed) <= chunk or executed.shape[1] != columns:
            raise UserError(
                f'{self._place} returned {type(answer).__name__} of shape '
                f'{list(executed.shape)}; {needed}'
            )
        for step, column in np.argwhere(~np.isfinite(executed))[:1]:
            raise UserError(
                f'{self._place} returned {executed[step, column]} in column {column} of step '
                f'{step}; {needed} that are finite'
            )
        return executed


def made_up_chunk(steps: int, columns: int) -> np.ndarray:
    """Return a chunk that nobody decided, [steps, columns]: no action is zero or like another."""
    return np.linspace(0.1, 0.5, steps * columns).reshape(steps, columns)


@contextmanager
def _own(place: str, what: str) -> Iterator[None]:
    with own_code(f'{place} {what}'):
        try:
            yield
        except UserError as error:
            raise UserError(f'{place}: {error}') from error
