"""What the build put in place, seen as ROS and as pip see it."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import tomllib
import xml.etree.ElementTree as ElementTree
from itertools import chain
from pathlib import Path

import pytest
from ament_index_python.packages import get_package_prefix, get_package_share_directory
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from smoothvla_ros import __version__

ROOT = Path(__file__).parents[2]
PACKAGE_XML = ElementTree.parse(ROOT / 'package.xml').getroot()


def test_one_version_everywhere() -> None:
    """The module, package.xml and the newest entry of the change log agree."""
    assert PACKAGE_XML.findtext('version') == __version__
    entries = re.findall(
        r'^(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)$', (ROOT / 'CHANGELOG.rst').read_text(), re.MULTILINE
    )
    assert entries[0] == __version__


def test_share_holds_what_the_sources_hold() -> None:
    """Launch files, configuration and descriptions are found through the ament index."""
    share = Path(get_package_share_directory('smoothvla_ros'))
    assert (share / 'package.xml').read_text() == (ROOT / 'package.xml').read_text()
    for folder in ('launch', 'config', 'rviz', 'urdf'):
        for source in (ROOT / folder).rglob('*'):
            if source.is_file() and '__pycache__' not in source.parts:
                assert (share / source.relative_to(ROOT)).read_bytes() == source.read_bytes()


def test_each_message_file_is_a_generated_message() -> None:
    """Every file in msg/ was built: a message left out of CMakeLists.txt is noticed here."""
    messages = importlib.import_module('smoothvla_ros.msg')
    for path in (ROOT / 'msg').glob('*.msg'):
        fields = getattr(messages, path.stem).get_fields_and_field_types()
        declared = [
            line.split()[1]
            for line in path.read_text().splitlines()
            if line.split('#')[0].strip() and '=' not in line.split('#')[0]
        ]
        assert list(fields) == declared


@pytest.mark.parametrize(
    'name', ['evaluator', 'grpo_trainer', 'jerk_monitor', 'libero_bridge', 'policy']
)
def test_each_node_is_an_executable(name: str) -> None:
    """`ros2 run` and launch's Node() find every node, and its module has a main to call."""
    executable = Path(get_package_prefix('smoothvla_ros'), 'lib', 'smoothvla_ros', name)
    assert os.access(executable, os.X_OK)
    found = re.search(r'from (smoothvla_ros\.nodes\.\S+) import main', executable.read_text())
    assert found is not None
    assert found[1].split('.')[2] == name
    assert callable(importlib.import_module(found[1]).main)


def test_the_command_is_installed() -> None:
    """The script `smoothvla` runs without an activated environment."""
    script = Path(get_package_prefix('smoothvla_ros'), 'bin', 'smoothvla')
    finished = subprocess.run([script, '--version'], capture_output=True, text=True, check=True)
    assert finished.stdout.split()[-1] == __version__


def test_each_pinned_version_satisfies_its_range() -> None:
    """The exact set of constraints.txt lies in the ranges of pyproject.toml."""
    project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
    lines = (ROOT / 'constraints.txt').read_text().splitlines()
    pinned = dict(line.split('==') for line in lines if '==' in line)
    pinned = {canonicalize_name(name): version for name, version in pinned.items()}
    declared = [*project['dependencies'], *chain(*project['optional-dependencies'].values())]
    for requirement in map(Requirement, declared):
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)]), (
            requirement
        )
