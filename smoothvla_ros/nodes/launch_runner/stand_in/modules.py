"""The stand-ins under the names that launch files import, for as long as one is read."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.stand_in import actions, conditions, substitutions

_HINT = 'run the file with `ros2 launch`, or leave it out'

KNOWN: dict[str, dict[str, Any]] = {
    'launch': {
        'LaunchContext': substitutions.LaunchContext,
        'LaunchDescription': actions.LaunchDescription,
    },
    'launch.actions': {
        'DeclareLaunchArgument': actions.DeclareLaunchArgument,
        'OpaqueFunction': actions.OpaqueFunction,
        'Shutdown': actions.Shutdown,
    },
    'launch.conditions': {
        'IfCondition': conditions.IfCondition,
        'UnlessCondition': conditions.UnlessCondition,
    },
    'launch.substitutions': {
        'LaunchConfiguration': substitutions.LaunchConfiguration,
        'PathJoinSubstitution': substitutions.PathJoinSubstitution,
    },
    'launch_ros': {},
    'launch_ros.actions': {'Node': actions.Node},
    'launch_ros.parameter_descriptions': {'ParameterValue': actions.ParameterValue},
}
# Its modules hold the classes that they imported, so they go and come with them.
_HOLDER = 'smoothvla_ros.nodes.launching'


@contextmanager
def stand_ins() -> Iterator[None]:
    """Let `import launch` and `import launch_ros` find the stand-ins.

    Whatever is not in them is named in a UserError: a module, a class, or an argument of a class.
    """
    saved = {name: module for name, module in sys.modules.items() if _ours(name)}
    for name in saved:
        del sys.modules[name]
    for name, contents in KNOWN.items():
        sys.modules[name] = _module(name, contents)
    sys.meta_path.insert(0, _Unknown)
    try:
        yield
    finally:
        sys.meta_path.remove(_Unknown)
        for name in [name for name in sys.modules if _ours(name)]:
            del sys.modules[name]
        sys.modules.update(saved)


def _ours(name: str) -> bool:
    return name.split('.')[0] in ('launch', 'launch_ros') or name.startswith(f'{_HOLDER}.')


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    module.__path__ = []
    for item, value in contents.items():
        setattr(module, item, _checked(f'{name}.{item}', value))

    def unknown(item: str) -> Any:
        # Python itself looks for dunder names, and for submodules that the finder then names.
        if item.startswith('__') or f'{name}.{item}' in KNOWN:
            raise AttributeError(item)
        known = ', '.join(contents) or 'nothing'
        raise UserError(f'{name}.{item} is not known here ({name} has {known}); {_HINT}')

    module.__getattr__ = unknown  # type: ignore[method-assign]
    return module


def _checked(name: str, value: type) -> type:
    """Return the class with a constructor that names an argument it does not know."""
    signature = inspect.signature(value.__init__)  # type: ignore[misc]
    known = set(signature.parameters) - {'self'}

    class Checked(value):
        @functools.wraps(value.__init__)  # type: ignore[misc]
        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            for keyword in keywords:
                if keyword not in known:
                    raise UserError(f'{name}: argument {keyword!r} is not known here; {_HINT}')
            super().__init__(*arguments, **keywords)

    Checked.__name__ = Checked.__qualname__ = value.__name__
    return Checked


class _Unknown:
    """A finder that names the modules of launch that have no stand-in."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name.split('.')[0] in ('launch', 'launch_ros') and name not in KNOWN:
            raise UserError(f'module {name} is not known here; {_HINT}')
