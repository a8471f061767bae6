"""A ~ in a path, wherever a shell leaves it as it is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from smoothvla_ros import cli
from smoothvla_ros.cameras.settings import CameraSettings
from smoothvla_ros.cameras.sources import open_source
from smoothvla_ros.configuration import from_mapping
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.nodes.launch_runner.plan import make_plan
from smoothvla_ros.nodes.recorder import recording_folder
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.simulation.twin.config import TwinConfig
from smoothvla_ros.training.config import TrainConfig

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A home folder of the test's own; the current folder is another one."""
    (folder := tmp_path / 'home').mkdir()
    (elsewhere := tmp_path / 'elsewhere').mkdir()
    monkeypatch.setenv('HOME', str(folder))
    monkeypatch.chdir(elsewhere)
    return folder


def test_a_setting_that_is_a_path(home):
    """Of a parameter file, an option or a launch argument; a ~ further in stays."""
    assert from_mapping(TrainConfig, {'output': '~/runs'}, 'here').output == home / 'runs'
    assert from_mapping(TwinConfig, {'motions': '~/m'}, 'here').motions == home / 'm'
    assert from_mapping(TrainConfig, {'output': 'a/~/b'}, 'here').output == Path('a/~/b')


def test_a_home_that_there_is_not_is_refused():
    """In one line that names the setting, not a traceback of pathlib's."""
    with pytest.raises(UserError, match='here: output=~no-one/x: ~no-one is no home folder here'):
        from_mapping(TrainConfig, {'output': '~no-one/x'}, 'here')


def test_a_text_that_may_be_a_path(home):
    """A policy, a robot and its URDF, a recording, the folder of a camera."""
    assert policy_folder('~/policy') == home / 'policy'
    assert recording_folder('~/bag') == home / 'bag'
    shutil.copy(ROOT / 'config' / 'robots' / 'panda.yaml', home / 'mine.yaml')
    assert load_robot_description('~/mine.yaml', '~/arm.urdf').urdf_path == home / 'arm.urdf'
    with pytest.raises(UserError, match=f'image folder {home}/images does not exist'):
        open_source(CameraSettings(source='images', path='~/images'))


@pytest.mark.parametrize('launch', ['train', 'deploy', 'evaluate', 'monitor'])
def test_every_launch_file_hands_on_its_config(home, launch):
    """ROS opens the file by the very name that it is given."""
    (home / 'mine.yaml').write_text('/**: {ros__parameters: {robots: 1}}')
    plan = make_plan(ROOT / 'launch' / f'{launch}.launch.py', {'config': '~/mine.yaml'})
    assert any(home / 'mine.yaml' in node.parameters for node in plan.nodes)


def test_an_option_of_the_command_line(home, capsys):
    """It arrives with its ~; the message has the folder that was looked into."""
    assert cli.main(['demos', '--out=~/demos', '--config=~/none.yaml']) == 2
    assert f'configuration {home}/none.yaml: No such file' in capsys.readouterr().err
