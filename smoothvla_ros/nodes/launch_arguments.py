"""Launch arguments made from the settings themselves: name, description, choices, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from launch.actions import DeclareLaunchArgument
from launch_ros.parameter_descriptions import ParameterValue


def declare_arguments(
    config_class: type, names: Sequence[str], file: str
) -> list[DeclareLaunchArgument]:
    """Return an argument for each named field of a configuration class (`setting` metadata).

    Their default is empty: what is not given comes from the parameter file `file`, so that a value
    stands in one place.
    """
    fields = {field.name: field for field in dataclasses.fields(config_class)}
    arguments = []
    for name in names:
        metadata = fields[name].metadata
        choices = metadata.get('choices')
        arguments.append(
            DeclareLaunchArgument(
                name,
                default_value='',
                description=f'{metadata["description"]} (empty: as in {file})',
                choices=['', *choices] if choices else None,
            )
        )
    return arguments


def given(configurations: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of the arguments that were given, as text: the nodes convert it."""
    return {
        name: ParameterValue(configurations[name], value_type=str)
        for name in names
        if configurations.get(name)
    }
