"""Settings on a command line: a configuration class becomes the options of a command."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from typing import Any

# Training has `output` and everything else `out`: who has learnt one need not forget it.
_ALIASES = {'out': ('output',), 'output': ('out',)}


def option(name: str) -> tuple[str, ...]:
    """Return the options that give a setting, the one of its own name first."""
    return tuple(f'--{word.replace("_", "-")}' for word in (name, *_ALIASES.get(name, ())))


def add_settings(
    parser: argparse.ArgumentParser,
    kind: type[Any],
    prefix: str = '',
    defaults: Mapping[str, str] | None = None,
) -> None:
    """Declare every setting of a configuration class; one of yes or no as `--name` and `--no-name`.

    A setting of several names has no option.  prefix: comes before each name.
    defaults: what is said of a default that the machine decides.
    """
    for field in dataclasses.fields(kind):
        if str(field.type).startswith('dict'):
            continue
        default = (defaults or {}).get(field.name, _in_words(field.default))
        text = f'{field.metadata["description"]} (default: {default})'.replace('%', '%%')
        names, place = option(prefix + field.name), prefix + field.name
        if isinstance(field.default, bool):
            parser.add_argument(
                *names,
                dest=place,
                action=argparse.BooleanOptionalAction,
                default=None,
                help=text,
            )
        else:
            parser.add_argument(*names, dest=place, metavar='VALUE', help=text)


def given_settings(
    arguments: argparse.Namespace, kind: type[Any], prefix: str = ''
) -> dict[str, Any]:
    """Return those settings of a class that a command line gives, by their names."""
    values = {
        field.name: getattr(arguments, prefix + field.name, None)
        for field in dataclasses.fields(kind)
    }
    return {name: value for name, value in values.items() if value is not None}


def _in_words(default: Any) -> str:
    if isinstance(default, bool):
        return 'yes' if default else 'no'
    if isinstance(default, tuple):
        return ','.join(map(str, default)) or 'all'
    if default == '':
        return 'empty'
    return 'none' if default is None else str(default)
