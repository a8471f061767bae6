"""A launch file read into the processes that it wants, without running any."""

from __future__ import annotations

import dataclasses
import difflib
import importlib.util
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.stand_in.actions import (
    Action,
    DeclareLaunchArgument,
    LaunchDescription,
    Node,
    OpaqueFunction,
    ParameterValue,
    Shutdown,
)
from smoothvla_ros.nodes.launch_runner.stand_in.modules import stand_ins
from smoothvla_ros.nodes.launch_runner.stand_in.substitutions import LaunchContext, text


@dataclass(frozen=True)
class PlannedNode:
    """One process of a launch file.

    namespace: absolute.  parameters: files (paths) and mappings, later ones on top.
    prefix: words before the command.  terminal: it writes to the terminal itself, unprefixed.
    ends_all: everything ends with it.
    """

    package: str
    executable: str
    name: str | None
    namespace: str | None
    parameters: tuple[Path | dict[str, Any], ...] = ()
    remappings: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    ros_arguments: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    terminal: bool = False
    ends_all: bool = False

    @property
    def label(self) -> str:
        """What the process is called on the terminal."""
        return self.name or self.executable

    @property
    def full_name(self) -> str:
        """The node's full name, or the wildcard for all where it is not known."""
        if self.name is None or self.namespace is None:
            return '/**'
        return f'{self.namespace.rstrip("/")}/{self.name}'


@dataclass(frozen=True)
class Plan:
    """Everything a launch file wants with the arguments that were given."""

    nodes: tuple[PlannedNode, ...]
    arguments: dict[str, str] = field(default_factory=dict)


def declared_arguments(path: Path) -> list[DeclareLaunchArgument]:
    """Return the arguments that a launch file declares."""
    with stand_ins():
        description, _ = _read(path)
    return [item for item in description.entities if isinstance(item, DeclareLaunchArgument)]


def make_plan(path: Path, given: Mapping[str, str]) -> Plan:
    """Read a launch file with its arguments.

    Raises UserError for an argument that is unknown, missing or not one of the choices, and for
    anything in the file that has no stand-in.
    """
    with stand_ins():
        description, settings = _read(path)
        declared = {e.name: e for e in description.entities if isinstance(e, DeclareLaunchArgument)}
        for name in given:
            if name not in declared:
                raise UserError(f'{path.name}: {_unknown(name, declared, settings)}')
        arguments = _arguments(declared, given, path)
        context = LaunchContext(dict(arguments))
        nodes = list(_nodes(description.entities, context))
    return Plan(tuple(nodes), arguments)


def _read(path: Path) -> tuple[LaunchDescription, dict[str, type]]:
    """Return what a launch file describes, and its `SETTINGS`: node -> settings class, if any."""
    spec = importlib.util.spec_from_file_location('launch_file', path)
    if spec is None or spec.loader is None:
        raise UserError(f'launch file {path} is not Python; give a file that ends in .launch.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, 'generate_launch_description'):
        raise UserError(f'launch file {path} has no function generate_launch_description')
    return module.generate_launch_description(), getattr(module, 'SETTINGS', {})


def _unknown(name: str, declared: Iterable[str], settings: Mapping[str, type]) -> str:
    """Say what may have been meant by an argument that the launch file does not have."""
    declared = list(declared)
    for node, kind in settings.items():
        if name in {field.name for field in dataclasses.fields(kind)}:
            return (
                f'{name!r} is a setting of {node} and no argument; put '
                f'"/**/{node}: {{ros__parameters: {{{name}: VALUE}}}}" into a copy of the '
                'parameter file, and give config:=COPY'
            )
    near = difflib.get_close_matches(name, declared, 1)
    meant = f'; did you mean {near[0]}:=?' if near else ''
    file = '; other settings of its nodes: in a file given as config' * ('config' in declared)
    return f'unknown argument {name!r}{meant}; known: {", ".join(declared) or "none"}{file}'


def _arguments(
    declared: Mapping[str, DeclareLaunchArgument], given: Mapping[str, str], path: Path
) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, argument in declared.items():
        if name in given:
            values[name] = given[name]
        elif argument.default_value is not None:
            values[name] = text(argument.default_value, LaunchContext(values))
        else:
            raise UserError(f'{path.name}: argument {name!r} is needed; give {name}:=VALUE')
        if argument.choices is not None and values[name] not in argument.choices:
            choices = ', '.join(choice for choice in argument.choices if choice)
            raise UserError(
                f'{path.name}: {name}:={values[name]} is unknown; choose from {choices}'
            )
    return values


def _nodes(entities: Iterable[Action], context: LaunchContext) -> Iterable[PlannedNode]:
    for entity in entities:
        if entity.condition is not None and not entity.condition.evaluate(context):
            continue
        if isinstance(entity, OpaqueFunction):
            yield from _nodes(entity.actions(context), context)
        elif isinstance(entity, Node):
            yield _planned(entity, context)


def _planned(node: Node, context: LaunchContext) -> PlannedNode:
    namespace = None if node.namespace is None else text(node.namespace, context)
    if namespace is not None and not namespace.startswith('/'):
        namespace = f'/{namespace}'
    return PlannedNode(
        package=text(node.package, context),
        executable=text(node.executable, context),
        name=None if node.name is None else text(node.name, context),
        namespace=namespace,
        parameters=tuple(_parameters(item, context) for item in node.parameters),
        remappings=tuple((text(a, context), text(b, context)) for a, b in node.remappings),
        arguments=tuple(text(item, context) for item in node.arguments),
        ros_arguments=tuple(text(item, context) for item in node.ros_arguments),
        prefix=tuple(shlex.split(text(node.prefix or '', context))),
        terminal=node.emulate_tty,
        ends_all=isinstance(node.on_exit, Shutdown),
    )


def _parameters(item: Any, context: LaunchContext) -> Path | dict[str, Any]:
    if not isinstance(item, Mapping):
        path = Path(text(item, context))
        if not path.is_file():
            raise UserError(f'parameter file {path} not found; give an existing file')
        return path
    return {text(name, context): _value(value, context) for name, value in item.items()}


def _value(value: Any, context: LaunchContext) -> Any:
    """Return a parameter's value as launch_ros evaluates it: text is YAML unless typed."""
    if isinstance(value, ParameterValue):
        content = _value(value.value, context) if value.value_type is None else value.value
        if value.value_type is str:
            return text(content, context)
        return content if value.value_type is None else value.value_type(content)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple) and all(isinstance(v, bool | int | float) for v in value):
        return list(value)
    content = text(value, context)
    return yaml.safe_load(content) if content else ''
