"""What is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']

# Its wheel does not list the module's name.
DISTRIBUTION_OF = {'pinocchio': 'pin'}
# Used without an import of their own.
BEHIND_ANOTHER = {
    'example-robot-data': 'its files are read from the folder that it installs',
    'tensorboard': 'torch.utils.tensorboard writes its files',
    'pytest-timeout': 'a pytest plugin',
    'pytest-xdist': 'a pytest plugin',
    'mypy': 'a program',
    'ruff': 'a program',
    'wheel': 'pip install --no-build-isolation',
}


def imported_roots(*folders: str) -> set[str]:
    """Return the first part of every absolute import under the folders, our own left out."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob('*.py')]
    helpers = {path.stem for path in (ROOT / 'test').rglob('*.py')}
    own = {'smoothvla_ros', 'benchmarks', *helpers}
    roots = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                roots.add(node.module.split('.')[0])
    return roots - own - set(sys.stdlib_module_names)


def distributions(roots: set[str]) -> set[str]:
    """Return the canonical names of what pip installed those modules from."""
    known = packages_distributions()
    names = {name for root in roots for name in known.get(root, [DISTRIBUTION_OF.get(root, root)])}
    return {canonicalize_name(name) for name in names}


def declared(*extras: str) -> set[str]:
    """Return the canonical names of the requirements, with those of the extras."""
    groups = [PROJECT['dependencies'], *map(PROJECT['optional-dependencies'].get, extras)]
    return {canonicalize_name(Requirement(line).name) for group in groups for line in group}


def ros_packages() -> set[str]:
    """Return the names in package.xml that a Python module of ROS can have."""
    root = ElementTree.parse(ROOT / 'package.xml').getroot()
    return {element.text for element in root if element.tag.endswith('depend') and element.text}


def test_every_import_is_declared() -> None:
    """A module that comes along with another package today may be gone tomorrow."""
    shipped, in_a_checkout = ('smoothvla_ros', 'launch'), ('benchmarks', 'test')
    for folders, extras in (
        (shipped, ('scale', 'viewer')),
        (in_a_checkout, ('dev', 'viewer')),
    ):
        from_pip = imported_roots(*folders) - ros_packages()
        assert distributions(from_pip) <= declared(*extras), folders


def test_every_declared_package_is_imported() -> None:
    """A dependency that nothing uses any more costs every user its download."""
    used = distributions(imported_roots('smoothvla_ros', 'launch', 'benchmarks', 'test'))
    assert declared('dev', 'viewer') - used - set(BEHIND_ANOTHER) == set()


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md says of each why it is there."""
    text = (ROOT / 'docs/dependencies.md').read_text().lower()
    named = {canonicalize_name(word) for word in re.findall(r'[a-z0-9][\w.-]*', text)}
    assert declared('dev', 'viewer') <= named
