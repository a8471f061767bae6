"""Our launch files through the small runner, against what ROS 2's own launch made of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from launch_plans import LAUNCH, ROOT, parameters

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launch_runner import command
from smoothvla_ros.nodes.launch_runner.plan import declared_arguments, make_plan
from smoothvla_ros.simulation.workers import robot_count

pytestmark = pytest.mark.usefixtures('elsewhere')

# Made by `record_real_launch.py` with launch and launch_ros of Jazzy (versions in the file): nodes
# with their names, namespaces, parameters and ends; to be made again when a launch file changes.
REAL = json.loads((Path(__file__).parent / 'data' / 'real_launch.json').read_text())['cases']


@pytest.mark.parametrize('case', REAL, ids=lambda case: f'{case["file"]}-{len(case["arguments"])}')
def test_runner_starts_what_ros_launch_starts(case, tmp_path, monkeypatch):
    """The same nodes, names, namespaces, parameters, arguments, remappings and ends."""
    monkeypatch.setenv('ROS_SECURITY_ENABLE', 'true')
    monkeypatch.setenv('ROS_SECURITY_STRATEGY', 'Enforce')
    monkeypatch.setattr(robot_count, 'robots_that_fit', lambda: 2)
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
        words = [word.replace(str(ROOT), 'PACKAGE') for word in node.arguments]
        assert words == real.get('arguments', [])
        assert list(node.ros_arguments) == real.get('ros_arguments', [])
        rules = [f'{source}:={target}' for source, target in node.remappings]
        assert rules == real.get('remappings', [])
        words = [word.replace(sys.executable, 'PYTHON') for word in node.prefix]
        assert words == real.get('prefix', [])


@pytest.mark.parametrize('path', sorted(LAUNCH.glob('*.launch.py')), ids=lambda path: path.name)
def test_every_launch_file_is_compared_and_described(path):
    """No launch file without a comparison; no argument without a description."""
    assert path.name in {case['file'] for case in REAL}
    for argument in declared_arguments(path):
        assert argument.description != 'no description given'


def test_a_launch_file_is_read_without_torch():
    """What torch takes to import, its nodes take once more; the memory would stay for the run."""
    code = (
        'import sys; from pathlib import Path; '
        'from smoothvla_ros.nodes.launch_runner.plan import make_plan; '
        f'[make_plan(path, {{}}) for path in Path({str(LAUNCH)!r}).glob("*.launch.py")]; '
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


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


@pytest.mark.parametrize('file', ['deploy', 'train', 'evaluate'])
def test_graph_stays_on_this_machine_unless_the_shell_says_otherwise(monkeypatch, file):
    """Who hears the controllers' topics can move the arm; two trainings would mix."""
    name = 'ROS_AUTOMATIC_DISCOVERY_RANGE'
    for given, expected in ((None, 'LOCALHOST'), ('SUBNET', 'SUBNET')):
        monkeypatch.setenv(name, given or '')
        if given is None:
            monkeypatch.delenv(name)
        make_plan(LAUNCH / f'{file}.launch.py', {})
        assert os.environ[name] == expected


def test_another_terminal_is_told_where_to_listen(monkeypatch, capsys):
    """Without a domain given, a launch takes one of its own, and nobody else would hear it."""
    for name in (command.DOMAIN, command.DISCOVERY_RANGE):
        monkeypatch.delenv(name, raising=False)
    with command._environment():
        domain = os.environ[command.DOMAIN]
    assert f'export ROS_DOMAIN_ID={domain} ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST' in (
        capsys.readouterr().out
    )
    monkeypatch.setenv(command.DOMAIN, '7')
    with command._environment():
        assert os.environ[command.DOMAIN] == '7'
    assert not capsys.readouterr().out
