"""Files of config/ by name: in a checkout, a colcon workspace, an environment of pip."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

import smoothvla_ros
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nodes.motion_guard.config import MotionGuardConfig, make_guard
from smoothvla_ros.shipped_files import shipped_file
from smoothvla_ros.workflows.benchmark.config import default_file

CONFIG = Path(__file__).parents[2] / 'config'


@pytest.fixture
def prefix(tmp_path, monkeypatch):
    """A workspace's prefix, holding the package; Python's own prefix holds nothing of it."""
    prefix = tmp_path / 'install' / 'smoothvla_ros'
    shutil.copytree(CONFIG, prefix / 'share' / 'smoothvla_ros' / 'config')
    marker = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'smoothvla_ros'
    marker.parent.mkdir(parents=True)
    marker.touch()
    module = prefix / 'lib' / 'python' / 'smoothvla_ros' / '__init__.py'
    monkeypatch.setattr(smoothvla_ros, '__file__', str(module))
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'usr'))
    # The workspace's underlay comes after it and has other packages.
    known = os.pathsep.join([str(prefix), str(tmp_path / 'underlay')])
    monkeypatch.setenv('AMENT_PREFIX_PATH', known)
    monkeypatch.chdir(tmp_path)
    return prefix


def test_a_workspace_ships_its_robots_action_spaces_and_matrix(prefix) -> None:
    """Commands and nodes find what lies in the share of a prefix that is not Python's."""
    shipped = prefix / 'share' / 'smoothvla_ros' / 'config'
    assert default_file() == shipped / 'benchmark.yaml'
    assert shipped_file('openvla.yaml') == shipped / 'openvla.yaml'
    # Only there: the checkout's cannot be what was read.
    (shipped / 'robots' / 'panda.yaml').rename(shipped / 'robots' / 'mine.yaml')
    space = shipped / 'action_spaces' / 'libero_osc_pose.yaml'
    space.rename(space.with_stem('mine'))
    robot = load_robot_description('mine')
    assert len(robot.joints) == 7
    make_guard(MotionGuardConfig(robot='mine', action_space='mine'), robot)


def test_an_environment_of_pip_ships_them_without_a_setup_file(prefix, monkeypatch) -> None:
    """The package adds the prefix that Python runs in, where nobody sourced anything."""
    monkeypatch.delenv('AMENT_PREFIX_PATH')
    monkeypatch.setattr(sys, 'prefix', str(prefix))
    smoothvla_ros._add_own_prefix_to_the_index()
    assert default_file() == prefix / 'share' / 'smoothvla_ros' / 'config' / 'benchmark.yaml'


@pytest.mark.parametrize('name', ['cfg/mine.yml', 'cfg/mine.yaml', 'cfg/mine'])
def test_a_file_of_ones_own_may_be_called_anything(prefix, tmp_path, name) -> None:
    """A path to an existing file is taken as it is, whatever it ends with."""
    (tmp_path / 'cfg').mkdir()
    shutil.copy(CONFIG / 'robots' / 'panda.yaml', tmp_path / name)
    assert len(load_robot_description(name).joints) == 7


@pytest.mark.parametrize('name', ['nowhere.yaml', 'nowhere', '', '.'])
def test_a_file_that_is_not_there_is_named_with_those_that_are(prefix, name) -> None:
    """One line says what was asked for, by which setting, and what there is instead."""
    line = rf"^robot: '{name}' is no file and not in config/robots \(fr3, panda, ur5e\); give "
    with pytest.raises(UserError, match=line):
        load_robot_description(name)
    space = MotionGuardConfig(action_space=name or 'nowhere')
    with pytest.raises(UserError, match=r'^action_space: .*\(libero_osc_pose\)'):
        make_guard(space, load_robot_description('panda'))


def test_where_nothing_is_installed_the_setup_file_is_asked_for(prefix, monkeypatch) -> None:
    """An empty list of names would help nobody: the line says what was not sourced."""
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    with pytest.raises(UserError, match=r"^robot: 'panda' .* source the setup file"):
        load_robot_description('panda')
    with pytest.raises(UserError, match=r'config/benchmark\.yaml .* source the setup file'):
        default_file()
