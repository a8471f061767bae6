"""A user's own function, named where a built-in one could be."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from smoothvla_ros.errors import UserError


def own_function(name: str, place: str, choices: Iterable[str]) -> Callable[..., Any]:
    """Return what ``module:function`` names on the Python path, or in the working directory.

    The latter comes last, so that no file there stands in for a module that is installed. It stays
    on the path: the module may import its neighbours later, and processes that are started get it.
    place: what is being named, for the error.  choices: the built-in names.
    Raises UserError for a name that stands for nothing that can be called.
    """
    remedy = f"choose from {', '.join(choices)}, or give 'module:function' of your own"
    module_name, separator, function_name = name.partition(':')
    if not separator:
        raise UserError(f'{place}={name!r} is unknown; {remedy}')
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
        # What was looked for before there was this folder is remembered as missing.
        importlib.invalidate_caches()
    try:
        found = getattr(importlib.import_module(module_name), function_name, None)
    except ImportError as error:
        raise UserError(
            f'{place}={name!r} cannot be imported: {error}; its file is looked for on PYTHONPATH '
            f'and in {here}; {remedy}'
        ) from error
    if not callable(found):
        raise UserError(f'{place}: {module_name} has no function {function_name!r}; {remedy}')
    return found
