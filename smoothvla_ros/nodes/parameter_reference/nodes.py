"""Which settings each node declares as its parameters."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from smoothvla_ros.errors import UserError

# As `module:class`, and imported only when asked for: no node waits for the libraries of another.
_LEDGER = 'smoothvla_ros.control.lock_step.episode_ledger:LedgerSettings'
SETTINGS = {
    'camera': ('smoothvla_ros.nodes.camera:CameraConfig',),
    'episodes': (),
    'evaluator': ('smoothvla_ros.workflows.evaluation.config:EvaluationConfig', _LEDGER),
    'grpo_trainer': ('smoothvla_ros.training.config:TrainConfig', _LEDGER),
    'jerk_monitor': ('smoothvla_ros.nodes.jerk_monitor.config:JerkMonitorConfig',),
    'libero_bridge': ('smoothvla_ros.nodes.libero_bridge.node:LiberoBridgeConfig',),
    'motion_guard': ('smoothvla_ros.nodes.motion_guard.config:MotionGuardConfig',),
    'policy': ('smoothvla_ros.nodes.policy.config:PolicyConfig',),
    'recorder': ('smoothvla_ros.nodes.recorder:RecorderConfig',),
    'rerun_viewer': ('smoothvla_ros.nodes.rerun_viewer.node:RerunViewerConfig',),
    'twin': ('smoothvla_ros.simulation.twin.config:TwinConfig',),
    'twin_operator': ('smoothvla_ros.nodes.twin_operator:TwinOperatorConfig',),
}

# What a node is called where that is not its executable's name: a parameter file goes by it.
NAMES = {'twin_operator': 'operator'}


def settings_of(node: str) -> tuple[type, ...]:
    """Return the configuration classes of a node, by the name of its executable.

    Raises UserError for a node that there is not.
    """
    classes = []
    for place in _known(node):
        module, _, name = place.partition(':')
        classes.append(getattr(importlib.import_module(module), name))
    return tuple(classes)


def purpose_of(node: str) -> str:
    """Return what a node is for: the first line of its module.  Raises UserError as above."""
    _known(node)
    folder = Path(__file__).parents[1]
    file = folder / f'{node}.py'
    if not file.is_file():
        file = folder / node / 'node.py'
    # Read and not imported: a list of all nodes need not wait for what each of them is made of.
    return (ast.get_docstring(ast.parse(file.read_text())) or '').partition('\n')[0]


def _known(node: str) -> tuple[str, ...]:
    if node not in SETTINGS:
        raise UserError(f'there is no node {node!r}; known: {", ".join(SETTINGS)}')
    return SETTINGS[node]
