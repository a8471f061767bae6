"""The arrows of docs/architecture.md: an import may only go down, and some never come in at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

import smoothvla_ros

PACKAGE = 'smoothvla_ros'
ROOT = Path(smoothvla_ros.__file__).resolve().parent
DOCUMENT = Path(__file__).parents[1] / 'docs' / 'architecture.md'

# From the bottom up. Those of one row do not import each other, the foundations apart.
FOUNDATIONS = (
    'records',
    'archives',
    'atomic_files',
    'configuration',
    'errors',
    'folder_lock',
    'libero',
    'nanoseconds',
    'user_function',
    'parent_death',
    'robot_name',
    'ros_domain',
    'shipped_files',
    'user_path',
    'writable_folder',
    '__init__',
)
ROWS = (
    FOUNDATIONS,
    ('kinematics', 'smoothness', 'cameras', 'recordings'),
    ('policies', 'simulation'),
    ('training', 'evaluation', 'control'),
    ('workflows', 'viewer'),
    ('nodes',),
    ('cli',),
)
ROW_OF = {part: row for row, parts in enumerate(ROWS) for part in parts}

ROS = (
    'rclpy',
    'launch',
    'launch_ros',
    'cv_bridge',
    'ament_index_python',
    'tf2_ros',
)
TORCH = ('torch', 'transformers', 'safetensors.torch')
# Message packages, and what generates and reads their modules.
MESSAGES = re.compile(r'\w+_(msgs|srvs|interfaces)|rosidl\w*')
LIBERO = ('libero', 'robosuite')
# Root module -> the only parts of the package that may import it.
ONLY_IN = {
    **dict.fromkeys(ROS, ('nodes',)),
    **dict.fromkeys(TORCH, ('policies', 'training', 'evaluation', 'workflows', 'nodes')),
    **dict.fromkeys(LIBERO, ('simulation',)),
    'cv2': ('cameras',),
    'rerun': ('viewer',),
}


def imported_modules(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """Yield the absolute name of everything that a module's source imports, wherever it stands."""
    package = module.split('.') if is_package else module.split('.')[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = '.'.join([*above, *(node.module or '').split('.')]).strip('.')
            yield from (f'{base}.{alias.name}' for alias in node.names)


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """Return one line an import of `module` that goes up, sideways or out of bounds."""
    part = [*module.split('.'), '__init__'][1]
    found = []
    for name in imported_modules(source, module, is_package):
        root, *rest = name.split('.')
        if root == PACKAGE:
            other = rest[0] if rest and rest[0] in ROW_OF else '__init__'
            if rest[:1] in (['msg'], ['srv']):
                allowed = part == 'nodes'
            elif part == other or {part, other} <= set(FOUNDATIONS):
                allowed = True
            else:
                allowed = ROW_OF[other] < ROW_OF[part]
        else:
            owners = [
                parts
                for limited, parts in ONLY_IN.items()
                if name == limited or name.startswith(f'{limited}.')
            ]
            if MESSAGES.fullmatch(root):
                owners.append(('nodes',))
            allowed = all(part in parts for parts in owners)
        if not allowed:
            found.append(f'{module} imports {name}')
    return found


def test_every_import_of_the_package_goes_down() -> None:
    """No module of the package reaches up or sideways, or imports what its part must not know."""
    found = []
    for path in sorted(ROOT.rglob('*.py')):
        parts = [PACKAGE, *path.relative_to(ROOT).with_suffix('').parts]
        is_package = parts[-1] == '__init__'
        module = '.'.join(parts[:-1] if is_package else parts)
        found += violations(path.read_text(), module, is_package)
    assert not found, '\n'.join(found)


def test_every_part_has_its_row() -> None:
    """A new part of the package must be given its place before it can be imported freely."""
    parts = {
        path.stem
        for path in ROOT.iterdir()
        if path.suffix == '.py' or (path.is_dir() and any(path.glob('**/*.py')))
    }
    assert parts <= set(ROW_OF)


def test_the_table_of_the_document_has_these_rows() -> None:
    """Who reads docs/architecture.md learns the rule that is checked here, no older one."""
    (table,) = re.findall(r'^## Layers\n[^#]*?```\n(.*?)```', DOCUMENT.read_text(), re.M | re.S)
    written = [
        set(takewhile(lambda word: word.endswith(('/', '.py')), line.split()))
        for line in table.splitlines()
    ]
    checked = [
        {f'{part}/' if (ROOT / part).is_dir() else f'{part}.py' for part in parts} for parts in ROWS
    ]
    assert written == checked[::-1]


@pytest.mark.parametrize(
    ('module', 'source'),
    [
        ('smoothness.jerk', 'from smoothvla_ros.kinematics.arm import Arm'),
        ('smoothness.jerk', 'from ..kinematics import arm'),
        ('smoothness.jerk', 'def late():\n    import torch.nn'),
        ('control.guard', 'from safetensors.torch import load_file'),
        ('simulation.tasks', 'import smoothvla_ros.policies.policy'),
        ('policies.policy', 'from smoothvla_ros import simulation'),
        ('policies.policy', 'from libero.libero import benchmark'),
        ('training.rewards', 'from smoothvla_ros.evaluation.intervals.rates import wilson'),
        ('training.rewards', 'from smoothvla_ros.workflows import sft'),
        ('workflows.sft', 'from smoothvla_ros.msg import ActionChunk'),
        ('workflows.sft', 'import rclpy'),
        ('workflows.sft', 'from sensor_msgs.msg import Image'),
        ('workflows.sft', 'from std_srvs.srv import Trigger'),
        ('workflows.sft', 'from builtin_interfaces.msg import Time'),
        ('recordings.bag', 'import rosidl_runtime_py.utilities'),
        ('records.episode', 'from smoothvla_ros.smoothness import mean_jerk'),
        ('nodes.policy', 'from smoothvla_ros import cli'),
        ('nodes.policy', 'from libero.libero import benchmark'),
    ],
)
def test_a_forbidden_import_is_found(module: str, source: str) -> None:
    """The walker sees late, relative and member imports, and refuses each forbidden arrow."""
    assert len(violations(source, f'{PACKAGE}.{module}')) == 1


@pytest.mark.parametrize(
    ('module', 'source'),
    [
        ('nodes.policy', 'import rclpy\nfrom smoothvla_ros.msg import ActionChunk'),
        ('training.rewards', 'from smoothvla_ros.smoothness import mean_jerk'),
        ('training.sft.losses', 'from .. import rewards\nimport torch'),
        ('records.episode', 'from smoothvla_ros.errors import UserError'),
        ('cli', 'from smoothvla_ros import __version__'),
    ],
)
def test_an_allowed_import_passes(module: str, source: str) -> None:
    """What the layers allow is not reported."""
    assert violations(source, f'{PACKAGE}.{module}') == []
