"""A configuration dataclass as a node's parameters: declared, described, ranged, validated."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from smoothvla_ros.configuration import from_mapping, to_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.node_settings import (
    DROPPED,
    LARGEST_INTEGER,
    misspelt,
    names_of_all,
    unknown_parameter,
)

Config = TypeVar('Config')

_LARGEST_DOUBLE = 1.7976931348623157e308


def declare(node: Node, config_class: type[Config]) -> Config:
    """Declare every field of `config_class` on `node` and return the validated configuration.

    A field's metadata (`configuration.setting`) gives description, range and choices. A whole
    number is taken for a double, and one value or a comma-separated string for a list, which ROS
    itself refuses. Settings are read once: the parameters cannot be changed afterwards.
    Raises UserError for an unknown choice, a value out of range or of a wrong type, an empty list,
    which ROS drops, and as `refuse_unknown` does.
    """
    fields = dataclasses.fields(config_class)  # type: ignore[arg-type]
    refuse_unknown(node, [field.name for field in fields])
    place = f'parameters of {node.get_fully_qualified_name()}'
    given = {}
    for field in fields:
        # Declared already: the node was configured before, and its values are fixed.
        known = node.has_parameter(field.name)
        value = node.get_parameter(field.name).value if known else _override(node, field.name)
        if value is not None:
            given[field.name] = value
        elif not known and field.name in node._parameter_overrides:
            raise UserError(f'{place}: {field.name}=[] {DROPPED}')
    config = from_mapping(config_class, given, place)
    plain = to_mapping(config)
    hints = typing.get_type_hints(config_class)
    for field in fields:
        if node.has_parameter(field.name):
            continue
        node.declare_parameter(
            field.name,
            plain[field.name],
            _descriptor(field, hints[field.name], plain[field.name]),
            ignore_override=True,
        )
    return config


def refuse_unknown(node: Node, own: Collection[str] = ()) -> None:
    """Raise UserError for a parameter that was given and is one of ours, misspelt.

    own: names that this node is about to declare.  Those of other nodes pass: a parameter file
    speaks to all of them below /**, and ROS does not tell where a value came from. What is like
    none of ours may be of another package, and is told in a warning.
    """
    known = {*own, *names_of_all()}
    # rclpy has no public word for what was given and not declared.
    for name in sorted(node._parameter_overrides):
        # What rclpy itself declares; the qualities of service only when a topic is made.
        if name in known or node.has_parameter(name) or name.startswith('qos_overrides.'):
            continue
        if misspelt(name, known):
            place = f'parameters of {node.get_fully_qualified_name()}'
            raise UserError(f'{place}: {unknown_parameter(name, own, known)}')
        node.get_logger().warning(f'{unknown_parameter(name)}; it is ignored')


def _override(node: Node, name: str) -> Any:
    """Return what the command line or a parameter file says, of whatever type; None if nothing."""
    node.declare_parameter(name, None, ParameterDescriptor(dynamic_typing=True))
    value = node.get_parameter(name).value
    node.undeclare_parameter(name)
    return list(value) if hasattr(value, 'typecode') else value


def _descriptor(field: dataclasses.Field[Any], hint: Any, value: Any) -> ParameterDescriptor:
    metadata = field.metadata
    description = metadata.get('description', '')
    choices = metadata.get('choices')
    descriptor = ParameterDescriptor(
        description=description,
        additional_constraints=f'one of {", ".join(choices)}' if choices else '',
        read_only=True,
        # None and an empty list have no type that ROS could fix.
        dynamic_typing=value is None or value == [],
    )
    low, high = metadata.get('minimum'), metadata.get('maximum')
    if low is None and high is None:
        return descriptor
    if hint is float:
        descriptor.floating_point_range = [
            FloatingPointRange(
                from_value=float(-_LARGEST_DOUBLE if low is None else low),
                to_value=float(_LARGEST_DOUBLE if high is None else high),
            )
        ]
    elif hint is int:
        descriptor.integer_range = [
            IntegerRange(
                from_value=int(-LARGEST_INTEGER if low is None else low),
                to_value=int(LARGEST_INTEGER if high is None else high),
            )
        ]
    return descriptor
