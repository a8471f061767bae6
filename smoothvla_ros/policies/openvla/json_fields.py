"""A JSON object whose fields are checked as they are read: wrong ones cost one line, no trace."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smoothvla_ros.errors import UserError

_SHOWN = 80
_IN_WORDS = {int: 'whole numbers', str: 'texts', bool: 'true or false', list: 'lists'}


class Fields:
    """Fields by name. Every refusal is a UserError with the file, the field and its value.

    A field that is absent gets its default; one without a default is refused.
    """

    def __init__(
        self,
        values: dict[str, Any],
        path: Path,
        inside: Sequence[str] = (),
        remedy: str = 'copy it again',
    ) -> None:
        """inside: names of the objects of the file that lead to this one."""
        self.values = values
        self.path = path
        self._inside = tuple(inside)
        self._remedy = remedy

    @classmethod
    def read(cls, path: Path, remedy: str = 'copy it again') -> Fields:
        """Read a file.  Raises UserError if it is not a JSON object in UTF-8."""
        try:
            values = json.loads(path.read_text(encoding='utf-8'))
        except (OSError, ValueError, RecursionError) as error:
            raise unreadable(path, error, remedy) from error
        if not isinstance(values, dict):
            raise UserError(f'{path} is not a JSON object; {remedy}')
        return cls(values, path, remedy=remedy)

    def wrong(self, name: str, wanted: str, remedy: str = '') -> UserError:
        """Return the error of a field that is not what is wanted."""
        field = ' '.join('.'.join((*self._inside, name)).split())
        if name not in self.values:
            what = f'{field} is missing, {wanted} is needed'
            return UserError(f'{self.path}: {what}; {remedy or self._remedy}')
        shown = repr(self.values[name])
        if len(shown) > _SHOWN:
            shown = f'{shown[:_SHOWN]}…'
        return UserError(f'{self.path}: {field}={shown} is not {wanted}; {remedy or self._remedy}')

    def whole(
        self,
        name: str,
        default: int | None = None,
        minimum: int = 1,
        maximum: int = 1_000_000,
    ) -> int:
        """Return a whole number between two ends, both allowed."""
        value = self.values.get(name, default)
        if type(value) is not int or not minimum <= value <= maximum:
            raise self.wrong(name, f'a whole number from {minimum} to {maximum}')
        return value

    def positive(self, name: str) -> float:
        """Return a finite number above zero."""
        value: Any = self.values.get(name)
        if not _is_number(value) or value <= 0:
            raise self.wrong(name, 'a finite number above 0')
        return float(value)

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.values.get(name)
        if not isinstance(value, bool):
            raise self.wrong(name, 'true or false')
        return value

    def text(self, name: str) -> str:
        """Return a text."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self.wrong(name, 'a text')
        return value

    def only(self, name: str, known: Any, default: Any = None) -> None:
        """Refuse every value but the one that is known."""
        if self.values.get(name, default) != known:
            raise self.wrong(name, f'{known!r}, all that is supported', 'give a checkpoint of it')

    def numbers(self, name: str, count: int) -> list[float]:
        """Return a list of finite numbers."""
        value: Any = self.values.get(name)
        if not is_numbers(value, count):
            raise self.wrong(name, f'a list of {count} finite numbers')
        return [float(item) for item in value]

    def items(
        self, name: str, kind: type, count: int | None = None, default: list[Any] | None = None
    ) -> Any:
        """Return a list of so many of a kind; null counts as absent where there is a default."""
        value = self.values.get(name, default)
        if value is None and default is not None:
            return default
        fits = isinstance(value, list) and count in (None, len(value))
        if not fits or any(type(item) is not kind for item in value or ()):
            many = '' if count is None else f'{count} '
            raise self.wrong(name, f'a list of {many}{_IN_WORDS[kind]}')
        return value

    def inner(self, name: str, *, optional: bool = False) -> Fields:
        """Return the object that a field is; null and absence are empty where it is optional."""
        value = self.values.get(name)
        if value is None and optional:
            value = {}
        if not isinstance(value, dict):
            raise self.wrong(name, 'an object')
        return Fields(value, self.path, (*self._inside, name), self._remedy)


def is_numbers(value: Any, count: int) -> bool:
    """Say whether a value is a list of so many finite numbers."""
    return isinstance(value, list) and len(value) == count and all(map(_is_number, value))


def unreadable(path: Path, error: Exception, remedy: str = 'download it again') -> UserError:
    """Return the error of a file that its reader could make nothing of."""
    line = ' '.join(str(error).split())[:200]
    return UserError(f'{path} is damaged or incomplete ({line}); {remedy}')


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300 and math.isfinite(value)
