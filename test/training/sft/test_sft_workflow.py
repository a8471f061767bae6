"""`smoothvla sft` from files to a policy that loads, and on from there."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sft_data import episode, own_file, tiny_shape

from smoothvla_ros.cli import main
from smoothvla_ros.errors import UserError
from smoothvla_ros.folder_lock import FolderLock
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.small_vla.policy import SmallVLAPolicy
from smoothvla_ros.training.sft.config import SFTConfig
from smoothvla_ros.workflows import sft
from smoothvla_ros.workflows.sft import train_sft


def write_demonstrations(folder: Path, numbers: range) -> Path:
    """Write demonstrations of ours, one file each."""
    for number in numbers:
        path = folder / 'libero_goal' / 'task_00' / f'init{number:02d}_seed00000_a0.npz'
        path.parent.mkdir(parents=True, exist_ok=True)
        own_file(path, episode(number), number, 0)
    return folder


def test_trains_saves_and_goes_on_with_new_words(tmp_path: Path):
    """Two instructions first, a third with --init: the vocabulary grows and keeps its numbers."""
    data = write_demonstrations(tmp_path / 'two', range(2))
    config = SFTConfig(steps=2, batch_size=4, threads=1, held_out_share=0.5)
    folder = train_sft([data], tmp_path / 'first', config, model_config=tiny_shape())
    first = load_policy(folder)
    assert isinstance(first, SmallVLAPolicy)
    assert first.vocabulary.words[2:] == ('a', 'b', 'object', 'pick', 'up')
    assert (tmp_path / 'first' / 'metrics.jsonl').read_text().count('held_out/action_loss') == 1
    more = write_demonstrations(tmp_path / 'three', range(3))
    second = load_policy(train_sft([more], tmp_path / 'second', config, init=str(folder)))
    assert isinstance(second, SmallVLAPolicy)
    assert second.vocabulary.words == (*first.vocabulary.words, 'c')
    assert np.array_equal(second.module.body_mean, first.module.body_mean)


def test_one_output_folder_serves_one_training(tmp_path: Path):
    """Other instructions in the same folder would mix two trainings: refused, nothing changed."""
    config = SFTConfig(steps=1, batch_size=4, threads=1)
    data = write_demonstrations(tmp_path / 'one', range(1))
    train_sft([data], tmp_path / 'out', config, model_config=tiny_shape())
    other = write_demonstrations(tmp_path / 'other', range(1, 2))
    with pytest.raises(UserError, match='choose another --out'):
        train_sft([other], tmp_path / 'out', config, model_config=tiny_shape())


def test_a_training_goes_on_for_longer_but_not_with_other_settings(tmp_path: Path):
    """More steps go on; another seed, or one demonstration more, is named and changes nothing."""
    data = write_demonstrations(tmp_path / 'two', range(2))
    out, settings = tmp_path / 'out', {'batch_size': 4, 'threads': 1, 'held_out_share': 0.0}
    train_sft([data], out, SFTConfig(steps=1, **settings), model_config=tiny_shape())
    before = (out / 'policy' / 'SHA256SUMS').read_text()
    with pytest.raises(UserError, match='holds a training with seed=0, not 1; choose another'):
        train_sft([data], out, SFTConfig(steps=2, seed=1, **settings), model_config=tiny_shape())
    more = write_demonstrations(tmp_path / 'more', range(2))
    again = more / 'libero_goal' / 'task_00' / 'init00_seed00000_a0.npz'
    (again.parent / 'init09_seed00000_a0.npz').write_bytes(again.read_bytes())
    with pytest.raises(UserError, match='holds a training with demonstrations=2, not 3'):
        train_sft([more], out, SFTConfig(steps=2, **settings), model_config=tiny_shape())
    other = write_demonstrations(tmp_path / 'other', range(2))
    corrected = dataclasses.replace(episode(0), actions=episode(0).actions / 2)
    own_file(other / again.relative_to(more), corrected, 0, 0)
    with pytest.raises(UserError, match='holds a training with data_sha256='):
        train_sft([other], out, SFTConfig(steps=2, **settings), model_config=tiny_shape())
    with pytest.raises(UserError, match='holds a training with init_sha256=, not '):
        train_sft([data], out, SFTConfig(steps=2, **settings), init=str(out / 'policy'))
    assert (out / 'policy' / 'SHA256SUMS').read_text() == before
    train_sft([data], out, SFTConfig(steps=2, **settings), model_config=tiny_shape())
    assert (out / 'policy' / 'SHA256SUMS').read_text() != before


def test_a_training_of_before_a_setting_goes_on(tmp_path: Path):
    """What an older sft.json does not say was the default then; another value is named."""
    data = write_demonstrations(tmp_path / 'one', range(1))
    out, settings = tmp_path / 'out', {'batch_size': 4, 'threads': 1, 'held_out_share': 0.0}
    train_sft([data], out, SFTConfig(steps=1, **settings), model_config=tiny_shape())
    record = json.loads((out / 'sft.json').read_text())
    assert record.pop('image_moment') == 'unknown'
    (out / 'sft.json').write_text(json.dumps(record))
    config = SFTConfig(steps=2, image_moment='before', **settings)
    with pytest.raises(UserError, match='with image_moment=unknown, not before'):
        train_sft([data], out, config, model_config=tiny_shape())
    train_sft([data], out, SFTConfig(steps=2, **settings), model_config=tiny_shape())
    assert json.loads((out / 'sft.json').read_text())['steps'] == 2


@pytest.mark.parametrize(
    ('arguments', 'named'),
    [
        (['--data', 'nowhere', '--steps', '1'], 'nowhere'),
        (['--data', '.'], 'raise steps (the shipped policy: 4200) or minutes'),
        (['--data', '.', '--steps', '0'], 'minutes=0'),
        (['--data', '.', '--steps', '-3'], 'steps=-3'),
        (['--data', '.', '--steps', '1', '--image-moment', 'during'], "image_moment='during'"),
        (['--data', '.', '--steps', 'many'], 'many'),
        (['--data', '.', '--steps', '1', '--init', 'no_such_policy'], 'no_such_policy'),
        (['--data', '.', '--steps', '1', '--out', '/proc/nothing'], '/proc/nothing'),
    ],
)
def test_bad_arguments_get_one_line(arguments, named, tmp_path, monkeypatch, capsys):
    """Exit status 2 and one line that names the value."""
    monkeypatch.chdir(tmp_path)
    assert main(['sft', '--out', 'out', *arguments]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith('smoothvla:')
    assert named in message


def test_a_second_process_is_kept_out(tmp_path, monkeypatch, capsys):
    """Two trainings into one folder would overwrite each other's state."""
    monkeypatch.chdir(tmp_path)
    with FolderLock(tmp_path / 'out', ''):
        assert main(['sft', '--out', 'out', '--data', '.', '--steps', '1']) == 2
    assert 'in use' in capsys.readouterr().err


def test_another_arm_has_a_proprioception_of_its_own(tmp_path: Path):
    """What the policy is told of the tool follows from the arm; and it is not taken for a Panda."""
    data = write_demonstrations(tmp_path / 'two', range(2))
    config = SFTConfig(steps=1, batch_size=4, threads=1, held_out_share=0.0)
    panda = load_robot_description('panda')
    longer = dataclasses.replace(panda, name='longer', tool_offset=(0.0, 0.0, 0.5))
    found = []
    for name, robot in (('none', None), ('panda', panda), ('longer', longer)):
        folder = train_sft([data], tmp_path / name, config, model_config=tiny_shape(), robot=robot)
        found.append(load_policy(folder).module.body_mean.numpy())
    assert np.array_equal(found[0], found[1])
    assert not np.allclose(found[0][:3], found[2][:3], atol=0.1)
    with pytest.raises(UserError, match='holds a training with robot=panda, not longer'):
        train_sft([data], tmp_path / 'none', config, model_config=tiny_shape(), robot=longer)


def test_demonstrations_are_read_for_the_arm_that_is_named(tmp_path: Path, monkeypatch):
    """A LeRobot data set does not say how many of its columns are joints; the arm does."""
    asked = []

    def read(*arguments):
        asked.append(arguments[3])
        return iter(())

    monkeypatch.setattr(sft, 'read_episodes', read)
    arm = SimpleNamespace(joint_names=tuple('abcdef'))
    robot = SimpleNamespace(name='six', arm=lambda: arm)
    with pytest.raises(UserError, match='no demonstrations'):
        train_sft([tmp_path], tmp_path / 'out', SFTConfig(steps=1), robot=robot)
    assert asked == [6]
