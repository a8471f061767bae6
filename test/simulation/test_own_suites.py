"""Suites of one's own are found by name, and used only as they were prepared."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_suite import SCENE, look_in, pretend_prepared, write_suite

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.suites import own_suites


@pytest.fixture
def kitchen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of two tasks that looks prepared: its states are no scene's, nothing is simulated."""
    folder = write_suite(tmp_path / 'suites' / 'kitchen', {'first': SCENE, 'second': SCENE})
    pretend_prepared(folder, ['second', 'first'])
    look_in(tmp_path / 'suites', monkeypatch)
    return folder


def test_a_suite_is_found_by_its_folders_name(kitchen):
    """Pins order, numbers and horizon of suite.yaml, and the instruction of the scene's file."""
    found = tasks.tasks('kitchen')
    assert [(task.index, task.name) for task in found] == [(0, 'second'), (1, 'first')]
    assert {task.language for task in found} == {'put the cookies on the plate'}
    assert {task.horizon for task in found} == {70}
    assert tasks.horizon('kitchen') == 70
    assert tasks.base_suite('kitchen') == 'kitchen'
    assert tasks.init_states(found[1]).shape == (50, 3)


def test_its_episodes_are_named_and_split_like_any_others(kitchen):
    """Pins that training and evaluation draw from a suite of one's own, apart from LIBERO's."""
    train, held_out = (episode_names('kitchen', 0, split, 20, 0) for split in Split)
    assert {name.suite for name in train} == {'kitchen'}
    assert not {name.init_state for name in train} & {name.init_state for name in held_out}
    elsewhere = episode_names('libero_goal', 0, Split.TRAIN, 20, 0)
    assert [name.scene_seed for name in train] != [name.scene_seed for name in elsewhere]


def test_the_first_of_two_folders_wins(kitchen, tmp_path, monkeypatch):
    """Pins that the variable is read as PATH is."""
    other = write_suite(tmp_path / 'more' / 'kitchen', {'third': SCENE})
    pretend_prepared(other, ['third'])
    for order, name in (
        ([other.parent, kitchen.parent], 'third'),
        ([kitchen.parent, other.parent], 'second'),
    ):
        look_in(':'.join(map(str, order)), monkeypatch)
        assert tasks.task('kitchen', 0).name == name
    assert own_suites.names() == ('kitchen',)


def test_a_linked_folder_is_called_by_its_links_name(kitchen, tmp_path, monkeypatch):
    """A link is how a lab has one folder of suites of several disks: its name is the suite's."""
    (tmp_path / 'linked').mkdir()
    (tmp_path / 'linked' / 'breakfast').symlink_to(kitchen)
    look_in(tmp_path / 'linked', monkeypatch)
    assert own_suites.names() == ('breakfast',)
    task = tasks.task('breakfast', 0)
    assert (task.suite, task.bddl_file.name) == ('breakfast', 'second.bddl')


def test_an_unknown_suite_names_those_of_ones_own_and_the_variable(kitchen):
    """Pins that a misspelt name is answered with where such suites are looked for."""
    with pytest.raises(UserError, match=r"'kitchn'.*or your own kitchen; SMOOTHVLA_SUITES names"):
        tasks.tasks('kitchn')


@pytest.mark.parametrize('name', ['../kitchen', 'a/b', '.', '', 'kit chen'])
def test_what_is_no_name_is_no_suite(kitchen, name):
    """A suite's name becomes a part of file names: it leads nowhere else."""
    with pytest.raises(UserError, match='is unknown'):
        tasks.tasks(name)


def test_a_scene_that_was_changed_is_not_run_with_the_states_of_another(kitchen):
    """Init states belong to one scene; the remedy is the command that draws them."""
    file = kitchen / 'first.bddl'
    file.write_text(file.read_text().replace('0.14', '0.15'))
    tasks._tasks.cache_clear()
    with pytest.raises(UserError, match=rf'{file} as it is now; run `smoothvla suite {kitchen}`'):
        tasks.tasks('kitchen')


def test_a_process_keeps_the_horizon_that_it_began_with(kitchen):
    """An edit of suite.yaml must not lengthen the episodes of a run that is under way."""
    tasks.tasks('kitchen')
    (kitchen / 'suite.yaml').write_text('tasks: [second, first]\nhorizon: 71\n')
    assert tasks.horizon('kitchen') == tasks.task('kitchen', 0).horizon == 70


def test_a_damaged_file_of_states_is_none(kitchen):
    """Half a file is named with the command that writes it again, not with a traceback."""
    file = kitchen / 'init_states' / 'first.npz'
    file.write_bytes(file.read_bytes()[:100])
    tasks._tasks.cache_clear()
    with pytest.raises(UserError, match='run `smoothvla suite'):
        tasks.tasks('kitchen')


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('tasks: [first, first]', "task 'first'; name each task once"),
        ('tasks: [../first]', r"task '\.\./first'; name each task once"),
        ('tasks: [gone]', r'gone\.bddl is missing, which suite\.yaml names'),
        ('horizon: 0', 'horizon=0 is too small'),
        ('horizon: 9', "'kitchen' names no tasks; run `smoothvla suite "),
        ('cameras: 3', "unknown setting 'cameras'"),
        ('- 3', 'expected "name: value" lines'),
    ],
)
def test_a_suite_yaml_that_is_none_is_one_line(kitchen, text, said):
    """Pins the error of every kind of nonsense in it."""
    (kitchen / 'suite.yaml').write_text(text)
    tasks._tasks.cache_clear()
    with pytest.raises(UserError, match=said) as caught:
        tasks.tasks('kitchen')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'changed',
    [
        {'extra': 'horizon: 71\n'},
        {'extra': 'horizon: 70\nobject_modules: [colorsys]\n'},
        {'names': ['first', 'second']},
        {'last': 2.0},
    ],
)
def test_the_fingerprint_follows_whatever_changes_an_episode(kitchen, changed):
    """Pins that results of one state of a suite are never gone on with in another."""
    scene = kitchen / 'second.bddl'
    scene.write_text(scene.read_text().replace('0.14', '0.15'))
    pretend_prepared(kitchen, ['second', 'first'])
    before = tasks.fingerprint('kitchen', [0, 1])
    assert before == tasks.fingerprint('kitchen', [0, 1]) != tasks.fingerprint('kitchen', [0])
    pretend_prepared(kitchen, **{'names': ['second', 'first'], **changed})
    assert tasks.fingerprint('kitchen', [0, 1]) != before


def test_liberos_own_suites_have_no_fingerprint():
    """Pins that what was begun before there were suites of one's own is gone on with."""
    assert tasks.fingerprint('libero_goal', [0]) == ''
