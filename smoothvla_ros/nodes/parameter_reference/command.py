"""The command `smoothvla parameters [NODE]`."""

from __future__ import annotations

import argparse

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.base.node_settings import SETTINGS, purpose_of
from smoothvla_ros.nodes.parameter_reference.pages import as_page, as_parameter_file, as_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument('node', nargs='?', help='a node, by its executable; without one: a list')
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        '--yaml', action='store_true', help='a parameter file with all of them, to begin with'
    )
    how.add_argument('--page', action='store_true', help='all nodes, as docs/parameters.md')


def run(arguments: argparse.Namespace) -> int:
    """Print parameters and return 0.  Raises UserError for an unknown node."""
    node = arguments.node
    if arguments.page:
        if node is not None:
            raise UserError('--page is of all nodes; leave the node out')
        print(as_page(list(SETTINGS)), end='')
    elif node is not None:
        print(as_parameter_file(node) if arguments.yaml else as_text(node), end='')
    elif arguments.yaml:
        raise UserError(f'--yaml is of one node; give one of {", ".join(SETTINGS)}')
    else:
        width = max(map(len, SETTINGS))
        for name in SETTINGS:
            print(f'{name:{width}}  {purpose_of(name)}')
    return 0
