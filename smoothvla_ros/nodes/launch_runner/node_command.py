"""The command line of a planned node, as launch_ros writes it."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.plan import PlannedNode
from smoothvla_ros.shipped_files import ament_prefixes

_OWN_PACKAGE = 'smoothvla_ros'


def node_command(node: PlannedNode, folder: Path) -> list[str]:
    """Return the command; parameters that are no files yet are written into `folder`."""
    command = [*node.prefix, *_executable(node), *node.arguments]
    command += ['--ros-args', *node.ros_arguments]
    if node.name is not None:
        command += ['-r', f'__node:={node.name}']
    if node.namespace is not None:
        command += ['-r', f'__ns:={node.namespace}']
    for number, item in enumerate(node.parameters):
        path = item
        if isinstance(item, dict):
            path = folder / f'{node.label}_{number}.yaml'
            path.write_text(yaml.dump({node.full_name: {'ros__parameters': item}}))
        command += ['--params-file', str(path)]
    for source, target in node.remappings:
        command += ['-r', f'{source}:={target}']
    return command


def _executable(node: PlannedNode) -> list[str]:
    for prefix in ament_prefixes():
        path = prefix / 'lib' / node.package / node.executable
        if path.is_file():
            return [str(path)]
    if node.package == _OWN_PACKAGE:
        return [sys.executable, '-m', f'{_OWN_PACKAGE}.nodes.{node.executable}']
    raise UserError(
        f'executable {node.executable!r} of package {node.package!r} not found; install it '
        f'(ROS 2 Jazzy has ros-jazzy-{node.package.replace("_", "-")}) and source its setup file'
    )
