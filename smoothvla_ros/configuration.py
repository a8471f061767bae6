"""Configuration as dataclasses that describe and validate themselves.

A configuration class is a frozen dataclass whose fields are made with `setting`. The same class
fills itself from YAML (`load`), from ``key=value`` overrides, and becomes the declared parameters
of a node (`nodes/base/parameters.py`), so that every value, range and description exists once.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.user_path import user_path

Config = TypeVar('Config')

_IN_WORDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'true or false'}
_COMMAND_LINE = 'command line'
_ITEMS_IN_WORDS = {
    'int': 'whole numbers with commas between them, as in 0,1,2,3',
    'float': 'numbers with commas between them, as in 0,0.5',
}


def setting(
    default: Any = dataclasses.MISSING,
    description: str = '',
    *,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] | None = None,
    before: Any = dataclasses.MISSING,
) -> Any:
    """Return a dataclass field that carries its description and its range (both ends included).

    before: what was in effect before there was this setting, where that is not its default.
    """
    metadata = {
        'before': default if before is dataclasses.MISSING else before,
        'description': description,
        'minimum': minimum,
        'maximum': maximum,
        'choices': tuple(choices) if choices is not None else None,
    }
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def validate(config: Any, place: str) -> None:
    """Check every field of a configuration against its range; call it from ``__post_init__``.

    Of a field of several values each is checked.
    Raises UserError naming the field, its value, `place` and what is allowed.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        name = f'{place}: {field.name}={value!r}'
        numbers = value if isinstance(value, tuple | list) else (value,)
        if any(isinstance(item, float) and not math.isfinite(item) for item in numbers):
            raise UserError(f'{name} is not a finite number; give one')
        low, high = field.metadata.get('minimum'), field.metadata.get('maximum')
        for item in numbers:
            if not isinstance(item, int | float) or isinstance(item, bool):
                continue
            if low is not None and item < low:
                raise UserError(f'{name} is too small; the smallest allowed is {low}')
            if high is not None and item > high:
                raise UserError(f'{name} is too large; the largest allowed is {high}')
        choices = field.metadata.get('choices')
        if choices is not None:
            for item in numbers:
                if item not in choices:
                    raise UserError(f'{name} is unknown; choose from {", ".join(choices)}')


def from_mapping(cls: type[Config], values: Mapping[str, Any], place: str) -> Config:
    """Build a configuration from plain values; unknown names and wrong types are user errors."""
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known, key=str)
    if unknown:
        names = ', '.join(sorted(known))
        raise UserError(f'{place}: unknown setting {unknown[0]!r}; known: {names}')
    meant = {
        field.name: field.metadata.get('description', '')
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
    }
    converted = {
        name: _convert(value, hints[name], f'{place}: {name}', meant[name])
        for name, value in values.items()
    }
    missing = [
        field.name
        for field in dataclasses.fields(cls)  # type: ignore[arg-type]
        if field.default is field.default_factory is dataclasses.MISSING
        and field.name not in converted
    ]
    if missing:
        raise UserError(f'{place}: {missing[0]!r} is missing ({meant[missing[0]]}); give it')
    return cls(**converted)


def load(
    cls: type[Config],
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
) -> Config:
    """Read a configuration from a YAML file, with overrides from the command line on top.

    defaults: what holds in place of the class's own defaults.
    """
    values: dict[str, Any] = dict(defaults or {})
    if path is not None:
        try:
            content = yaml.safe_load(Path(path).read_text())
        except OSError as error:
            raise UserError(
                f'configuration {path}: {error.strerror}; give a readable file'
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            line = ' '.join(str(error).split())
            raise UserError(f'configuration {path} is not valid YAML: {line}') from error
        if content is not None and not isinstance(content, dict):
            raise UserError(f'configuration {path}: expected "name: value" lines')
        values.update(content or {})
    values.update(overrides or {})
    return from_mapping(cls, values, str(path) if path is not None else _COMMAND_LINE)


def to_mapping(config: Any) -> dict[str, Any]:
    """Return plain values (lists for tuples, strings for paths) that YAML or JSON can hold."""
    return {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}


def default_mapping(kind: type[Any]) -> dict[str, Any]:
    """Return what was in effect before a class's settings existed, as `to_mapping` returns values.

    That is a setting's default, unless it says otherwise.
    """
    return {
        field.name: _plain(field.metadata.get('before', field.default))
        for field in dataclasses.fields(kind)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _unbracketed(text: str) -> str:
    stripped = text.strip()
    return stripped[1:-1] if stripped.startswith('[') and stripped.endswith(']') else text


def _convert(value: Any, hint: Any, place: str, meant: str, remedy: str = '') -> Any:
    """Convert a YAML or command-line value to the type that the field declares.

    meant: the setting's description.  remedy: what to give; '' is one value of the type.
    """
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if type(None) in arguments:
        if value is None or value == '':
            return None
        inner = next(a for a in arguments if a is not type(None))
        return _convert(value, inner, place, meant)
    if origin in (tuple, list):
        # Both `0,5` and what YAML and `ros2 launch` call a list: `[0, 5]`.
        items = _unbracketed(value).split(',') if isinstance(value, str) else value
        if not isinstance(items, Sequence):
            items = [items]
        kind = getattr(arguments[0], '__name__', '')
        remedy = f'{_ITEMS_IN_WORDS[kind]} ({meant})' if kind in _ITEMS_IN_WORDS else ''
        return origin(
            _convert(item, arguments[0], place, meant, remedy)
            for item in items
            if str(item).strip()
        )
    kind = getattr(hint, '__name__', str(hint))
    wanted = remedy or _IN_WORDS.get(kind, f'a {kind.lower()}')
    wrong = UserError(f'{place}={value!r} is not a valid {kind}; give {wanted}')
    if hint is bool:
        if isinstance(value, bool):
            return value
        lowered = str(value).lower()
        if lowered not in ('true', 'false'):
            raise wrong
        return lowered == 'true'
    if isinstance(value, bool):
        raise wrong
    try:
        if hint is Path:
            return user_path(value, f'{place}=')
        if hint is int and isinstance(value, float) and not value.is_integer():
            raise wrong
        return hint(value) if hint in (int, float, str) else value
    except (TypeError, ValueError) as error:
        raise wrong from error
