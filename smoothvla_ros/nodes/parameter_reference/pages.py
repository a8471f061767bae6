"""Parameters as text for a terminal, as a parameter file to begin with, and as a page."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from smoothvla_ros.nodes.base.node_settings import NAMES, purpose_of
from smoothvla_ros.nodes.parameter_reference.parameters import (
    Parameter,
    as_yaml,
    parameters_of_node,
)

_WIDTH = 100
_INTRODUCTION = """\
# Parameters

What every node can be told: in a parameter file (`--params-file` of a node), with
`-p name:=value`, and the commonest as launch arguments (`--show-args`). Each is read once, when the
node is configured; a value out of range or of another kind, and a misspelt name, ends it with one
line. Every node but `evaluator` and `grpo_trainer` has
`autostart` too (default `true`): configure and activate without being asked. A path may begin with
`~`. Empty is `''`, of a list too: ROS drops `[]`, so it is refused.

A launch file takes one parameter file for all its nodes, `config:=FILE`, in place of its own in
`config/` (`train.yaml`, `evaluate.yaml`, `deploy.yaml`): copy that and add to it. What it says, and
what the launch file works out itself (how many robots the machine keeps busy, the size of the
policy's images, the rate of the joints), comes before these defaults. `/**/NODE:` is right in every
namespace; ROS ignores `motion_guard:`, because the guard is `robot_0/motion_guard`, so that and
misspelt names are refused, as is a parameter that its node has not. Put `/**:` first: of two
sections that are of a node, the one that came first is the weaker.

`smoothvla parameters NODE` prints one of these tables and `smoothvla parameters NODE --yaml` a
parameter file to begin with; this page is what `smoothvla parameters --page` prints.
"""

_HOW_TO_USE = (
    'Take the # away from the first two lines below and from what you change. For the node alone: '
    '--params-file. For a launch file: add it to a copy of its own file in config/, and give that '
    'as config:=FILE. A camera of deploy.launch.py is called camera_agentview or camera_wrist.'
)


def as_text(node: str) -> str:
    """Return a node's parameters for a terminal."""
    lines = [f'{node}: {purpose_of(node)}']
    for parameter in parameters_of_node(node):
        notes = [parameter.kind, parameter.allowed, f'default {_in_words(parameter.default)}']
        lines += [
            '',
            f'{parameter.name}  ({"; ".join(filter(None, notes))})',
            *_wrapped(parameter.description, '    '),
        ]
    if len(lines) == 1:
        lines.append('No parameters of its own.')
    return '\n'.join(lines) + '\n'


def as_parameter_file(node: str) -> str:
    """Return a parameter file of a node in which nothing is said yet: every line is a comment."""
    parameters = parameters_of_node(node)
    if not parameters:
        return f'# {node} has no parameters but autostart.\n'
    lines = [f'# {purpose_of(node)}']
    lines += _wrapped(_HOW_TO_USE, '# ')
    lines += [f'# /**/{NAMES.get(node, node)}:', '#   ros__parameters:']
    for parameter in parameters:
        allowed = f' ({parameter.allowed})' if parameter.allowed else ''
        lines += _wrapped(f'{parameter.description}{allowed}', '#     # ')
        # A parameter file has no word for nothing, and ROS drops an empty list.
        default = "''" if parameter.default == [] else as_yaml(parameter.default)
        value = '' if parameter.default is None else default
        lines.append(f'#     {parameter.name}: {value}'.rstrip())
    return '\n'.join(lines) + '\n'


def as_page(nodes: Sequence[str]) -> str:
    """Return docs/parameters.md."""
    parts = [_INTRODUCTION]
    for node in nodes:
        parts.append(f'## {node}\n\n{purpose_of(node)}\n')
        rows = [_row(parameter) for parameter in parameters_of_node(node)]
        if rows:
            head = '| parameter | default | values | meaning |\n|---|---|---|---|\n'
            parts.append(head + '\n'.join(rows) + '\n')
        else:
            parts.append('No parameters of its own.\n')
    return '\n'.join(parts)


def _row(parameter: Parameter) -> str:
    default = _in_words(parameter.default)
    if parameter.default not in (None, [], ''):
        default = f'`{default}`'
    values = parameter.allowed or parameter.kind
    cells = (f'`{parameter.name}`', default, values, parameter.description)
    return '| ' + ' | '.join(_escaped(cell) for cell in cells) + ' |'


def _escaped(cell: str) -> str:
    """Return it without what Markdown would take for the end of a cell, or for HTML."""
    return cell.replace('|', '\\|').replace('<', '&lt;')


def _in_words(value: object) -> str:
    if value is None:
        return 'none'
    if value in ('', []):
        return 'empty'
    return as_yaml(value)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )
