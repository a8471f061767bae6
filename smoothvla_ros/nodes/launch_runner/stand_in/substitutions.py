"""Values that are known only when a launch file runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from smoothvla_ros.errors import UserError


class LaunchContext:
    """What a launch file may look at while it runs: the values of its arguments."""

    def __init__(self, launch_configurations: dict[str, str]) -> None:
        self.launch_configurations = launch_configurations


class Substitution:
    """Something that becomes text."""

    def perform(self, context: LaunchContext) -> str:
        raise NotImplementedError


class LaunchConfiguration(Substitution):
    """The value of an argument."""

    def __init__(self, variable_name: str) -> None:
        self._name = variable_name

    def perform(self, context: LaunchContext) -> str:
        if self._name not in context.launch_configurations:
            raise UserError(f'launch file: argument {self._name!r} is used but not declared')
        return context.launch_configurations[self._name]


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[Any]) -> None:
        self._parts = list(substitutions)

    def perform(self, context: LaunchContext) -> str:
        return str(Path(*[text(part, context) for part in self._parts]))


def text(value: Any, context: LaunchContext) -> str:
    """Return the text of a string, a path, a substitution, or a list of them put together."""
    if isinstance(value, Substitution):
        return value.perform(context)
    if isinstance(value, str | Path):
        return str(value)
    return ''.join(text(part, context) for part in value)
