"""Which settings each node declares as its parameters."""

from __future__ import annotations

import importlib

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
    module = importlib.import_module(f'smoothvla_ros.nodes.{node}')
    if hasattr(module, '__path__'):
        module = importlib.import_module(f'smoothvla_ros.nodes.{node}.node')
    return (module.__doc__ or '').partition('\n')[0]


def _known(node: str) -> tuple[str, ...]:
    if node not in SETTINGS:
        raise UserError(f'there is no node {node!r}; known: {", ".join(SETTINGS)}')
    return SETTINGS[node]
