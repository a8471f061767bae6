"""Launch arguments made from the settings themselves: name, description, choices, once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from launch.actions import DeclareLaunchArgument
from launch_ros.parameter_descriptions import ParameterValue

from smoothvla_ros.configuration import from_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launching.parameter_files import (
    full_name,
    parameters_of,
    read_by,
    sections_of,
)
from smoothvla_ros.policies.image_size import image_size
from smoothvla_ros.robot_name import RULE, is_namespace
from smoothvla_ros.ros_domain import DISCOVERY_RANGE
from smoothvla_ros.user_path import user_path

Config = TypeVar('Config')

_FILES = ('config', 'controllers', 'description', 'links')


def declare_arguments(
    config_class: type,
    names: Sequence[str],
    file: str,
    otherwise: Mapping[str, str] | None = None,
) -> list[DeclareLaunchArgument]:
    """Return an argument for each named field of a configuration class (`setting` metadata).

    Their default is empty: what is not given comes from the parameter file `file`, so that a value
    stands in one place.  otherwise: by name, what holds where the file does not say either.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    arguments = []
    for name in names:
        metadata = fields[name].metadata
        choices = metadata.get('choices')
        rest = f', else {otherwise[name]}' if otherwise and name in otherwise else ''
        arguments.append(
            DeclareLaunchArgument(
                name,
                default_value='',
                description=f'{metadata["description"]} (empty: as in {file}{rest})',
                choices=['', *choices] if choices else None,
            )
        )
    return arguments


def expand_files(configurations: MutableMapping[str, str]) -> None:
    """Write out the ~ of the files that the launch itself, or another package's program, opens.

    What goes to our own nodes, they write out themselves.
    Raises UserError for a home folder that there is not.
    """
    for name in _FILES:
        if configurations.get(name, '').startswith('~'):
            configurations[name] = str(user_path(configurations[name], f'{name}:='))


def given(configurations: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of the arguments that were given, as text: the nodes convert it."""
    return {
        name: ParameterValue(configurations[name], value_type=str)
        for name in names
        if configurations.get(name)
    }


def check(
    config_class: type[Config],
    configurations: Mapping[str, str],
    names: Sequence[str],
    node: str,
    own_file: Path | None = None,
    decided: Mapping[str, Any] | None = None,
) -> Config:
    """Raise UserError for what the node would refuse, before the seconds of starting every node.

    configurations: with `config`, the parameter file below the arguments.  names: the arguments
    that go to the node.  own_file: the node's, below `config`.  decided: by name, what the launch
    file gives it on top.  Returns the configuration that the node will have.
    """
    check_namespace(configurations)
    fields = {field.name for field in dataclasses.fields(config_class)}  # type: ignore[arg-type]
    asked = {name: configurations[name] for name in names if configurations.get(name)}
    asked |= decided or {}
    place = full_name(node, configurations)
    read = read_by(place, [*sections_of(own_file, configurations), {place: asked}])
    for name, value in asked.items():
        if read[name] != value:
            raise UserError(
                f'config:={configurations["config"]}: {name}={read[name]} there would override '
                f'{name}={value} of the launch, because a more general section comes after '
                f'{place}: in it; put the general ones first'
            )
    values = {name: value for name, value in read.items() if name in fields or name in asked}
    return from_mapping(config_class, values, f'launch arguments of {node}')


def agree(
    configurations: MutableMapping[str, str], name: str, nodes: Sequence[str], otherwise: str = ''
) -> None:
    """Write into `configurations` the value of a setting on which all these nodes must agree.

    The argument `name` comes first, then the file `config`, whichever of the nodes it tells.
    otherwise: where neither says; empty leaves it to the nodes.
    Raises UserError if the file tells two nodes different values.
    """
    if configurations[name]:
        return
    told = {node: parameters_of(node, configurations).get(name) for node in nodes}
    values = {str(value) for value in told.values() if value is not None}
    if len(values) > 1:
        raise UserError(
            f'config:={configurations["config"]} gives {name}={" and ".join(sorted(values))} to '
            'nodes that must agree; give it below /**'
        )
    configurations[name] = values.pop() if values else otherwise


def drawn_for(
    policies: Sequence[str], simulator: str, configurations: Mapping[str, str]
) -> dict[str, int]:
    """Return how large a node that simulates must draw what these policies see.

    configurations: with `config`, the parameter file, whose `image_size` for that node holds where
    it has one; nothing is returned then.
    Raises UserError for a policy that is not there.
    """
    if not policies or 'image_size' in parameters_of(simulator, configurations):
        return {}
    return {'image_size': max(map(image_size, policies))}


def stay_on_this_machine() -> None:
    """Keep the graph's topics from other machines, unless the shell says otherwise.

    Whoever hears a controller's topics can move the arm, and two trainings in one network would
    answer each other's requests.
    """
    os.environ.setdefault(DISCOVERY_RANGE, 'LOCALHOST')


def check_namespace(configurations: Mapping[str, str]) -> None:
    """Raise UserError for a namespace that ROS does not allow: every node would end in it."""
    namespace = configurations.get('namespace', '')
    if namespace not in ('', '/') and not is_namespace(namespace):
        raise UserError(f'namespace:={namespace} is no ROS namespace; {RULE}')
