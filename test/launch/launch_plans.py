"""What our launch files tell the nodes that they start, as plans of the small runner."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import yaml

from smoothvla_ros.nodes.launch_runner.node_command import node_command
from smoothvla_ros.nodes.launch_runner.plan import PlannedNode, make_plan

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'


def parameters(node: PlannedNode, folder: Path):
    """The parameters on the command line, as files of the package or as written values."""
    words = node_command(replace(node, package='smoothvla_ros'), folder)
    assert tuple(words[words.index('--ros-args') + 1 :][: len(node.ros_arguments)]) == (
        node.ros_arguments
    )
    for word, path in itertools.pairwise(words):
        if word == '--params-file':
            if Path(path).is_relative_to(ROOT):
                yield {'file': str(Path(path).relative_to(ROOT))}
            else:
                values = yaml.safe_load(Path(path).read_text())
                for node_values in values.values():
                    if 'robot_description' in node_values['ros__parameters']:
                        # Long, and another on every machine: test_panda_description.py has it.
                        node_values['ros__parameters']['robot_description'] = '(of xacro)'
                yield {'values': values}


def config_file(folder: Path, **nodes) -> dict[str, str]:
    """The launch argument for a parameter file with settings of each node."""
    path = folder / 'mine.yaml'
    content = {f'/**/{node}': {'ros__parameters': values} for node, values in nodes.items()}
    path.write_text(yaml.dump(content))
    return {'config': str(path)}


def told(given: dict[str, str], executable: str, folder: Path) -> dict[str, object]:
    """What the launch file itself tells a node, on top of every parameter file."""
    nodes = make_plan(LAUNCH / 'deploy.launch.py', given).nodes
    (node,) = [node for node in nodes if node.executable == executable]
    *_, last = parameters(node, folder)
    (values,) = last['values'].values()
    return values['ros__parameters']


def spawned(given: dict[str, str]) -> tuple[list[str], list[str]]:
    """The controllers that are active, and those that are only loaded."""
    plan = make_plan(LAUNCH / 'deploy.launch.py', given)
    active, inactive = (
        node.arguments[: node.arguments.index('--controller-manager')]
        for node in plan.nodes
        if node.executable == 'spawner'
    )
    return list(active), list(inactive)
