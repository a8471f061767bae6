"""What a node's parameters are: name, kind, default, range and meaning, read from its settings."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from smoothvla_ros.configuration import to_mapping
from smoothvla_ros.nodes.base.node_settings import LARGEST_INTEGER, settings_of

_KINDS = {
    bool: 'true or false',
    int: 'whole number',
    float: 'number',
    str: 'text',
    Path: 'path',
}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a node.  default: as a parameter file has it; None: nothing."""

    name: str
    kind: str
    default: Any
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    description: str

    @property
    def allowed(self) -> str:
        """What values it takes, in words; '' where any of its kind."""
        if self.choices:
            some_of = 'some of ' if isinstance(self.default, list) else ''
            return some_of + ', '.join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            return f'{_limit(self.minimum)} to {_limit(self.maximum)}'
        if self.minimum is not None:
            return f'at least {_limit(self.minimum)}'
        return '' if self.maximum is None else f'at most {_limit(self.maximum)}'


def parameters_of_node(node: str) -> list[Parameter]:
    """Return the parameters of a node, in the order of its settings; UserError: no such node."""
    parameters = []
    for settings in settings_of(node):
        hints, defaults = typing.get_type_hints(settings), to_mapping(settings())
        for field in dataclasses.fields(settings):
            parameters.append(_parameter(field, hints[field.name], defaults[field.name]))
    return parameters


def as_yaml(value: Any) -> str:
    """Return a plain value as a parameter file has it, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix('\n').removesuffix('\n...')


def _parameter(field: dataclasses.Field[Any], hint: Any, default: Any) -> Parameter:
    metadata = field.metadata
    maximum = metadata.get('maximum')
    return Parameter(
        name=field.name,
        kind=_in_words(hint),
        default=default,
        minimum=metadata.get('minimum'),
        # What a parameter of ROS can hold is no limit of ours.
        maximum=None if maximum == LARGEST_INTEGER else maximum,
        choices=metadata.get('choices') or (),
        description=metadata.get('description', ''),
    )


def _limit(value: float) -> str:
    return str(value) if isinstance(value, int) else f'{value:g}'


def _in_words(hint: Any) -> str:
    if hint in _KINDS:
        return _KINDS[hint]
    kinds = [kind for kind in typing.get_args(hint) if kind not in (type(None), Ellipsis)]
    words = ' or '.join(dict.fromkeys(_in_words(kind) for kind in kinds))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return words
    return f'list of {words}'
