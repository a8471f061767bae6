"""Which settings each node declares as its parameters."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib
from collections.abc import Collection
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

# What becomes of `name: []` in a parameter file.
DROPPED = "is no parameter for ROS, and the default would hold; write '' for empty"

# The most that a parameter of ROS can hold.
LARGEST_INTEGER = 2**63 - 1

# How alike two names are (0 to 1) of which one is taken for the other misspelt.
_ALIKE = 0.75


def settings_of(node: str) -> tuple[type, ...]:
    """Return the configuration classes of a node, by the name of its executable.

    Raises UserError for a node that there is not.
    """
    classes = []
    for place in _known(node):
        module, _, name = place.partition(':')
        classes.append(getattr(importlib.import_module(module), name))
    return tuple(classes)


@functools.cache
def names_of(node: str) -> frozenset[str]:
    """Return the names of a node's own settings.  Raises UserError as above.

    Read and not imported: every node asks at its start, for those of all.
    """
    places = [place.partition(':') for place in _known(node)]
    return frozenset().union(*(_names(module, kind) for module, _, kind in places))


def names_of_all() -> frozenset[str]:
    """Return every name that a node of this package knows, `autostart` with them."""
    return frozenset({'autostart'}).union(*map(names_of, SETTINGS))


def unknown_parameter(name: str, *known: Collection[str]) -> str:
    """Say what may have been meant by the name of a parameter; the likeliest names come first."""
    for names in known:
        near = misspelt(name, names)
        if near:
            return f'unknown parameter {name!r}; did you mean {near!r}?'
    return f'unknown parameter {name!r}; `smoothvla parameters NODE` lists those that there are'


def misspelt(name: str, known: Collection[str]) -> str:
    """Return which of the known names was meant, or nothing: then it is of somebody else."""
    near = difflib.get_close_matches(name, sorted(known), 1, _ALIKE)
    return near[0] if near else ''


def purpose_of(node: str) -> str:
    """Return what a node is for: the first line of its module.  Raises UserError as above."""
    _known(node)
    folder = Path(__file__).parents[1]
    file = folder / f'{node}.py'
    if not file.is_file():
        file = folder / node / 'node.py'
    # Read and not imported: a list of all nodes need not wait for what each of them is made of.
    return (ast.get_docstring(ast.parse(file.read_text())) or '').partition('\n')[0]


def _names(module: str, kind: str) -> set[str]:
    """Return the fields of a settings class and of its bases, wherever it is imported from."""
    tree = _parsed(module)
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef) and statement.name == kind:
            own = {
                field.target.id
                for field in statement.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            }
            bases = [base.id for base in statement.bases if isinstance(base, ast.Name)]
            return own.union(*(_names(module, base) for base in bases))
        if not isinstance(statement, ast.ImportFrom) or statement.module is None:
            continue
        if any(alias.name == kind for alias in statement.names):
            return _names(statement.module, kind)
    raise LookupError(f'{module} has no class {kind}')


@functools.cache
def _parsed(module: str) -> ast.Module:
    place = Path(__file__).parents[3].joinpath(*module.split('.'))
    file = place / '__init__.py' if place.is_dir() else place.with_suffix('.py')
    return ast.parse(file.read_text())


def _known(node: str) -> tuple[str, ...]:
    if node not in SETTINGS:
        raise UserError(f'there is no node {node!r}; known: {", ".join(SETTINGS)}')
    return SETTINGS[node]
