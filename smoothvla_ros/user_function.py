"""A user's own function or module, named in a setting."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from smoothvla_ros.errors import UserError

# Where a frame of a traceback comes from that is neither the user's code nor below it.
_CALLERS = (str(Path(__file__).parent), str(Path(importlib.__file__).parent), '<frozen ')


def user_function(name: str, place: str, choices: Iterable[str]) -> Callable[..., Any]:
    """Return what ``module:function`` names on the Python path, or in the working directory.

    place: what is being named, for the error.  choices: the built-in names.
    Raises UserError for a name that stands for nothing that can be called, and, with file and
    line, for a module that raises something while it is imported.
    """
    remedy = f"choose from {', '.join(choices)}, or give 'module:function' of your own"
    module_name, separator, function_name = name.partition(':')
    if not separator:
        raise UserError(f'{place}={name!r} is unknown; {remedy}')
    module = _import(module_name, Path.cwd(), f'{place}={name!r} cannot be imported:', remedy)
    found = getattr(module, function_name, None)
    if not callable(found):
        raise UserError(f'{place}: {module_name} has no function {function_name!r}; {remedy}')
    return found


def user_module(name: str, place: str, folder: Path) -> ModuleType:
    """Return a module of the user's own on the Python path, or in a folder.

    place: what is being named, for the error.
    Raises UserError for a name that stands for no module, and, with file and line, for a module
    that raises something while it is imported; also where the folder has a file of this name, and
    another was found before it.
    """
    module = _import(
        name, folder, f'{place}={name!r} cannot be imported:', 'name a module, without .py'
    )
    own = folder.joinpath(*name.split('.')).with_suffix('.py')
    found = getattr(module, '__file__', None)
    if own.is_file() and (found is None or not own.samefile(found)):
        raise UserError(
            f'{place}={name!r} is {found or "built into Python"}, and not {own}; rename that file, '
            'so that its name is its own'
        )
    return module


def fresh_copy(name: str, place: str) -> Callable[..., Any]:
    """Return what `user_function` has found, out of a second copy of its module.

    What a function remembers lies in its module as a rule: the one that will be worked with must
    not remember what it was tried on.
    Raises UserError, with file and line, for a module that raises something while it is imported.
    """
    module_name, _, function_name = name.partition(':')
    spec = importlib.util.find_spec(module_name)
    assert spec is not None  # `user_function` has imported it
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with own_code(f'{place}={name!r} cannot be imported:'):
        spec.loader.exec_module(module)
    return cast(Callable[..., Any], getattr(module, function_name))


@contextmanager
def own_code(what: str) -> Iterator[None]:
    """Run code of the user's own: whatever it raises becomes a UserError with its file and line.

    what: the beginning of the message, which ends with the exception's type, text and place.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # not this program's code: it may raise anything
        raise UserError(f'{what} {_line(error)}; mend it there') from error


def _import(name: str, folder: Path, failure: str, remedy: str) -> ModuleType:
    """Import a module from the Python path, or last from a folder.

    It comes last, so that no file there stands in for a module that is installed. It stays on the
    path: the module may import its neighbours later, and processes that are started get it.
    failure: the beginning of the message.  Raises UserError.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
        # What was looked for before there was this folder is remembered as missing.
        importlib.invalidate_caches()
    if not all(part.isidentifier() for part in name.split('.')):
        raise UserError(f'{failure} no module has such a name; {remedy}')
    with own_code(failure):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Itself or a package that it would lie in, and nothing that it imports.
            if error.name is None or not f'{name}.'.startswith(f'{error.name}.'):
                raise
            raise UserError(
                f'{failure} {error}; its file is looked for on PYTHONPATH and in {folder}; {remedy}'
            ) from error


def _line(error: Exception) -> str:
    """Return type, text and place of an exception in one line."""
    file, number = _place(error)
    text = str(error)
    if isinstance(error, SyntaxError) and error.filename is not None:
        file, number, text = error.filename, error.lineno, error.msg  # its text names them too
    said = f'{type(error).__name__}: {text}' if text else type(error).__name__
    where = f' at {file}:{number}' if file else ''
    return ' '.join(f'{said}{where}'.split())


def _place(error: Exception) -> tuple[str, int | None]:
    """Return where the user's code was: the last line of it above a library that it called.

    The first frame that is not ours is the user's, and so are those of files beside it.
    """
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(_CALLERS)
    ]
    if not frames:
        return '', None
    folder = Path(frames[0].filename).parent
    last = [frame for frame in frames if Path(frame.filename).parent == folder][-1]
    return last.filename, last.lineno
