"""Write down what ROS 2's own launch makes of our launch files: `data/real_launch.json`, anew.

    python test/launch/record_real_launch.py

To be run where `launch` and `launch_ros` are, after a change of a launch file; another version of
these is worth a run too. The cases, a launch file with arguments each, are those of the file
itself: to add one, add its `file` and `arguments` there. Nothing is started.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from launch.actions import ExecuteProcess, Shutdown
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.substitutions import TextSubstitution
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescriptionEntity
from smoothvla_ros.simulation.workers import robot_count

PACKAGE = Path(__file__).resolve().parents[2]
DATA = Path(__file__).parent / 'data' / 'real_launch.json'
SECURITY = {'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}
# In place of the path of a program that need not be installed here.
EXECUTABLE = 'EXECUTABLE'


def case(file: str, arguments: dict[str, str]) -> dict[str, Any]:
    """Return what launch would start for a launch file, and which arguments the file declares."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    description = get_launch_description_from_python_launch_file(str(PACKAGE / 'launch' / file))
    declared = [argument.name for argument in description.get_launch_arguments()]
    nodes = [started(node, context) for node in nodes_of(description.entities, context)]
    return {'file': file, 'arguments': arguments, 'nodes': nodes, 'declared': declared}


def nodes_of(entities: Iterable[LaunchDescriptionEntity], context: LaunchContext) -> Iterator[Node]:
    """Yield the nodes among entities and what those return, in their order."""
    for entity in entities:
        if isinstance(entity, Node):
            if entity.condition is None or entity.condition.evaluate(context):
                yield entity
        elif isinstance(entity, ExecuteProcess):
            raise TypeError(f'{entity} is a process and no node; the comparison knows none')
        else:
            yield from nodes_of(entity.visit(context) or [], context)


def started(node: Node, context: LaunchContext) -> dict[str, Any]:
    """Return what launch would start for a node; keys of what is empty are left out."""
    node.cmd[0] = [TextSubstitution(text=EXECUTABLE)]
    # `execute` would also start the process.
    node._perform_substitutions(context)
    node_name = node.node_name.rpartition('/')[2]
    names = {'name': f'__node:={node_name}', 'ns': f'__ns:={node.expanded_node_namespace}'}
    context.extend_locals({'ros_specific_arguments': names})
    node.prepare(context)
    words = node.process_description.final_cmd
    at = words.index(EXECUTABLE)
    own, *given, ros = split(words[at + 1 :], '--ros-args')
    options = list(zip(ros[::2], ros[1::2], strict=True))
    files = [path for option, path in options if '-file' in option]
    on_exit = node._ExecuteLocal__on_exit
    found = {
        'package': node.node_package,
        'executable': node.node_executable,
        'name': node_name,
        'namespace': node.expanded_node_namespace,
        'full_name': node.node_name,
        'parameters': [parameters(Path(path)) for path in files],
        'emulate_tty': node.emulate_tty,
        'ends_all': isinstance(on_exit, Shutdown),
    }
    extra = {
        'arguments': [word.replace(str(PACKAGE), 'PACKAGE') for word in own],
        'ros_arguments': [word for words in given for word in words],
        'remappings': [rule for option, rule in options if option == '-r' and '__' not in rule],
        'prefix': [word.replace(sys.executable, 'PYTHON') for word in words[:at]],
    }
    return found | {name: value for name, value in extra.items() if value}


def split(words: list[str], mark: str) -> list[list[str]]:
    """Return what is before, between and after the marks."""
    found: list[list[str]] = [[]]
    for word in words:
        if word == mark:
            found.append([])
        else:
            found[-1].append(word)
    return found


def parameters(path: Path) -> dict[str, Any]:
    """Return a parameter file of the package by its name, one that launch wrote by its values."""
    if path.is_relative_to(PACKAGE):
        return {'file': str(path.relative_to(PACKAGE))}
    values = yaml.safe_load(path.read_text())
    for node in values.values():
        if 'robot_description' in node['ros__parameters']:
            node['ros__parameters']['robot_description'] = '(of xacro)'
    return {'values': values}


def main() -> None:
    """Write the file anew."""
    os.environ.update(SECURITY)
    # What differs from machine to machine: memory, and whether there is a xacro.
    robot_count.robots_that_fit = lambda: 2
    xml = SimpleNamespace(toxml=lambda: '<robot/>')
    sys.modules['xacro'] = SimpleNamespace(process_file=lambda *_, **__: xml)
    old = json.loads(DATA.read_text())['cases']
    # Launch files look at the folder that they would write to.
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        cases = [case(one['file'], one['arguments']) for one in old]
    versions = {name: version(name.replace('_', '-')) for name in ('launch', 'launch_ros')}
    DATA.write_text(json.dumps(versions | {'cases': cases}, indent=1) + '\n')


if __name__ == '__main__':
    main()
