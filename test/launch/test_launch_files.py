"""Our launch files through the small runner, against what ROS 2's own launch made of them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import yaml

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner.command import find_launch_file, parse_values
from smoothvla_ros.nodes.launch_runner.node_command import node_command
from smoothvla_ros.nodes.launch_runner.plan import PlannedNode, declared_arguments, make_plan

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / 'launch'
# Made once with launch and launch_ros of Jazzy (versions in the file): nodes with their names,
# namespaces, parameters and ends; to be made again when a launch file changes.
REAL = json.loads((Path(__file__).parent / 'data' / 'real_launch.json').read_text())['cases']


def parameters(node: PlannedNode, folder: Path):
    """The parameters on the command line, as files of the package or as written values."""
    words = node_command(node, folder)
    for word, path in itertools.pairwise(words):
        if word == '--params-file':
            if Path(path).is_relative_to(ROOT):
                yield {'file': str(Path(path).relative_to(ROOT))}
            else:
                yield {'values': yaml.safe_load(Path(path).read_text())}


@pytest.mark.parametrize('case', REAL, ids=lambda case: f'{case["file"]}-{len(case["arguments"])}')
def test_runner_starts_what_ros_launch_starts(case, tmp_path):
    """The same nodes, names, namespaces, parameters with their types, arguments and ends."""
    plan = make_plan(LAUNCH / case['file'], case['arguments'])
    assert list(plan.arguments) == case['declared']
    assert [node.executable for node in plan.nodes] == [n['executable'] for n in case['nodes']]
    for node, real in zip(plan.nodes, case['nodes'], strict=True):
        assert node.package == real['package']
        assert node.name == real['name']
        assert node.namespace == real['namespace']
        assert node.full_name == real['full_name']
        assert node.terminal == real['emulate_tty']
        assert node.ends_all == real['ends_all']
        assert list(parameters(node, tmp_path)) == real['parameters']


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.launch.py')), ids=lambda path: path.name)
def test_every_launch_file_is_compared_and_described(path):
    """No launch file without a comparison; no argument without a description."""
    assert path.name in {case['file'] for case in REAL}
    for argument in declared_arguments(path):
        assert argument.description != 'no description given'


def test_bad_arguments_are_user_errors():
    """Unknown, of another form, not among the choices, and a file that is not there."""
    train = LAUNCH / 'train.launch.py'
    with pytest.raises(UserError, match=r"unknown argument 'sute'; known: config, namespace"):
        make_plan(train, {'sute': 'x'})
    with pytest.raises(UserError, match='render_profile:=nice is unknown; choose from stock, fast'):
        make_plan(train, {'render_profile': 'nice'})
    with pytest.raises(UserError, match='not of the form key:=value'):
        parse_values(['suite=x'])
    with pytest.raises(UserError, match=r'there are evaluate\.launch\.py, train\.launch\.py'):
        find_launch_file('tain.launch.py')


@pytest.mark.parametrize(
    ('code', 'words'),
    [
        ('from launch.actions import GroupAction', 'launch.actions.GroupAction is not known here'),
        ('import launch_xml, launch.frontend', 'module launch.frontend is not known here'),
        (
            "from launch_ros.actions import Node\nNode(package='a', executable='b', respawn=True)",
            "launch_ros.actions.Node: argument 'respawn' is not known here",
        ),
    ],
)
def test_what_the_runner_does_not_know_is_named(code, words, tmp_path, monkeypatch):
    """A file made for the real launch fails with the name of what is missing."""
    (tmp_path / 'launch_xml.py').write_text('')
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / 'other.launch.py'
    path.write_text(code)
    with pytest.raises(UserError, match=words):
        make_plan(path, {})
