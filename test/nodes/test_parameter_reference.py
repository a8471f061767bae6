"""What `smoothvla parameters` and docs/parameters.md say of the nodes' parameters."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from rclpy.node import Node

from smoothvla_ros import cli
from smoothvla_ros.configuration import from_mapping, to_mapping
from smoothvla_ros.nodes.base.node_settings import NAMES, SETTINGS, names_of, settings_of
from smoothvla_ros.nodes.parameter_reference.pages import as_page, as_parameter_file
from smoothvla_ros.nodes.parameter_reference.parameters import parameters_of_node

ROOT = Path(__file__).parents[2]
NODES = ROOT / 'smoothvla_ros' / 'nodes'
WITH_PARAMETERS = [node for node in SETTINGS if SETTINGS[node]]


def test_every_executable_is_there():
    """The list is that of the executables that an installation has."""
    line = re.search(r'foreach\(node IN ITEMS ([a-z_ ]+)\)', (ROOT / 'CMakeLists.txt').read_text())
    assert sorted(SETTINGS) == sorted(line.group(1).split())


@pytest.mark.parametrize('node', SETTINGS)
def test_settings_are_those_that_the_node_declares(node):
    """Its own files hand exactly these classes to `declare`, or to `run_job`, which adds one."""
    files = [NODES / f'{node}.py', *(NODES / node).glob('*.py')]
    declared = set()
    for file in filter(Path.is_file, files):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                if call.func.id in ('declare', 'run_job'):
                    declared.add(call.args[1].id)
                if call.func.id == 'run_job':
                    declared.add('LedgerSettings')
    assert {settings.__name__ for settings in settings_of(node)} == declared


@pytest.mark.parametrize('node', SETTINGS)
def test_names_that_are_read_are_those_of_the_settings(node):
    """Without an import: a setting that was overlooked would be refused as a misspelling."""
    fields = [field for settings in settings_of(node) for field in dataclasses.fields(settings)]
    assert names_of(node) == {field.name for field in fields}


def test_page_is_the_one_in_docs():
    """docs/parameters.md is printed by the command: nobody has to keep it true."""
    assert (ROOT / 'docs' / 'parameters.md').read_text() == as_page(list(SETTINGS))


@pytest.mark.parametrize('node', WITH_PARAMETERS)
def test_every_parameter_says_what_it_means(node):
    """A description each, and a name that no other setting of the node has."""
    parameters = parameters_of_node(node)
    assert all(parameter.description for parameter in parameters)
    names = [parameter.name for parameter in parameters]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize('node', WITH_PARAMETERS)
def test_parameter_file_says_the_defaults_once_its_comments_are_opened(node, ros, tmp_path):
    """ROS reads it, under the node's own name, and each value is the one that holds without it."""
    assert all(line.startswith('#') for line in as_parameter_file(node).splitlines())
    lines = [line.removeprefix('# ') for line in as_parameter_file(node).splitlines()]
    begin = next(index for index, line in enumerate(lines) if line.startswith('/**/'))
    # What has no value stays a comment.
    body = [line.removeprefix('#') for line in lines[begin:]]
    opened = [line for line in body if not re.fullmatch(r' +\w+:', line) or '__' in line]
    file = tmp_path / 'node.yaml'
    file.write_text('\n'.join(opened))
    (name,) = yaml.safe_load(file.read_text())
    started = Node(
        name.removeprefix('/**/'),
        namespace='robot_0',
        cli_args=['--ros-args', '--params-file', str(file)],
        allow_undeclared_parameters=True,
        automatically_declare_parameters_from_overrides=True,
    )
    said = yaml.safe_load(file.read_text())[name]['ros__parameters']
    heard = {key: started.get_parameter(key).value for key in said}
    started.destroy_node()
    heard = {
        key: list(value) if hasattr(value, 'typecode') else value for key, value in heard.items()
    }
    assert heard == said
    for settings in settings_of(node):
        own = {key: value for key, value in heard.items() if key in to_mapping(settings())}
        assert from_mapping(settings, own, 'file') == settings()
        missing = {key for key in to_mapping(settings()) if key not in heard}
        assert all(to_mapping(settings())[key] is None for key in missing)


@pytest.mark.parametrize('node', SETTINGS)
def test_names_are_those_that_the_nodes_give_themselves(node):
    """A section of a parameter file under another name is read by nobody."""
    files = [NODES / f'{node}.py', NODES / node / 'node.py']
    text = next(file for file in files if file.is_file()).read_text()
    called = re.search(r"super\(\).__init__\(\s*'(\w+)'|run_job\(\s*'(\w+)'", text)
    assert NAMES.get(node, node) in called.groups()


def test_autostart_is_the_one_parameter_that_is_no_setting():
    """The page says it once for all nodes."""
    calls = [file for file in NODES.rglob('*.py') if 'declare_parameter(' in file.read_text()]
    assert sorted(file.name for file in calls) == ['lifecycle.py', 'parameters.py']
    assert '`autostart` too (default `true`)' in as_page([])


@pytest.mark.parametrize('node', ['jerk_monitor', 'motion_guard', 'policy'])
def test_shipped_files_of_one_node_say_what_holds_without_them(node):
    """So the page has one default for each: the files are there to be copied."""
    content = yaml.safe_load((ROOT / 'config' / f'{node}.yaml').read_text())
    defaults = {parameter.name: parameter.default for parameter in parameters_of_node(node)}
    for name, value in content['/**']['ros__parameters'].items():
        assert value == defaults[name], name


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ([], ['twin_operator  The operator on topics', 'camera         One camera']),
        (['camera'], ['rate_hz  (number; 0.1 to 240; default 20.0)\n    Images a second']),
        (['policy'], ['cameras  (list of text; default [agentview, wrist])']),
        (['policy', '--yaml'], ['# /**/policy:\n#   ros__parameters:\n#     # ']),
        (['episodes', '--yaml'], ['episodes has no parameters but autostart']),
    ],
)
def test_command_prints(capsys, arguments, words):
    """A list of nodes, a node's parameters, or a parameter file."""
    assert cli.main(['parameters', *arguments]) == 0
    printed = capsys.readouterr().out
    assert all(word in printed for word in words)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (['nonsense'], "there is no node 'nonsense'; known: camera,"),
        (['nonsense', '--yaml'], "there is no node 'nonsense'"),
        (['--yaml'], 'give one of camera,'),
        (['camera', '--page'], 'leave the node out'),
    ],
)
def test_command_refuses_in_one_line(capsys, arguments, words):
    """What there is not, and two things that do not go together."""
    assert cli.main(['parameters', *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count('\n') == 1
