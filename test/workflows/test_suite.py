"""`smoothvla suite` makes a folder of BDDL files a suite that everything else can use."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from own_suite import SCENE, look_in, write_suite

from smoothvla_ros.cli import main
from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.playing import play
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.splits import Split, episode_names
from smoothvla_ros.simulation.suites import own_suites
from smoothvla_ros.user_function import user_module
from smoothvla_ros.workflows.suite import PICTURE, prepare_suite

# As a user writes it beside the scenes: a block that LIBERO does not have.
BLOCK_MODULE = """
from pathlib import Path

from libero.libero.envs.base_object import register_object
from libero.libero.envs.objects.self_designed_object import CustomObjects


@register_object
class ChessBlock(CustomObjects):
    def __init__(self, name='chess_block', obj_name='chess_block'):
        super().__init__(str(Path(__file__).with_name('chess_block.xml')), name, obj_name)
        self.rotation, self.rotation_axis = (0.0, 0.0), 'z'
"""
BLOCK_XML = """
<mujoco model="chess_block"><worldbody><body><body name="object">
  <geom type="box" size="0.02 0.02 0.02" density="500" rgba="1 0 0 1" group="0"/>
  <geom type="box" size="0.02 0.02 0.02" rgba="1 0 0 1" group="1" contype="0" conaffinity="0"/>
</body>
  <site name="bottom_site" pos="0 0 -0.02" size="0.001" rgba="0 0 0 0"/>
  <site name="top_site" pos="0 0 0.02" size="0.001" rgba="0 0 0 0"/>
  <site name="horizontal_radius_site" pos="0.02 0.02 0" size="0.001" rgba="0 0 0 0"/>
</body></worldbody></mujoco>
"""


NAME = 'put_the_cookies_on_the_plate'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one task, where suites are looked for."""
    folder = write_suite(tmp_path / 'suites' / 'breakfast', {NAME: SCENE})
    look_in(folder.parent, monkeypatch)
    return folder


@pytest.fixture(scope='module')
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder, prepared; not to be changed."""
    folder = write_suite(tmp_path_factory.mktemp('suites') / 'breakfast', {NAME: SCENE})
    prepare_suite(folder, {})
    return folder


@pytest.fixture
def prepared(folder: Path, prepared_once: Path) -> Path:
    """A prepared folder of the test's own."""
    shutil.copytree(prepared_once, folder, dirs_exist_ok=True)
    return folder


def test_a_prepared_suite_is_played_like_any_other(folder, capsys):
    """Pins the whole way: command, fifty states as LIBERO draws them, episodes that are solved."""
    assert main(['suite', str(folder), '--horizon', '200']) == 0
    said = capsys.readouterr().out
    assert '0  put the cookies on the plate: 50 init states drawn' in said
    assert 'suite breakfast is ready' in said
    assert (folder / PICTURE).read_bytes()[:4] == b'\x89PNG'
    task = tasks.task('breakfast', 0)
    states = tasks.init_states(task)
    assert states.shape[0] == 50
    assert len(np.unique(states, axis=0)) == 50
    # The joints of LIBERO's own init states differ by this much.
    assert np.allclose(states[:, 1:8].std(axis=0), 0.02, atol=0.006)
    environment = Environment(task, RenderSettings(size=64))
    assert environment.horizon == 200
    names = episode_names('breakfast', 0, Split.HELD_OUT, 2, 0)
    assert all(play(environment, name) for name in names)
    environment.close()


def test_what_has_not_changed_is_kept_and_new_tasks_come_last(prepared, prepared_once):
    """A task keeps its number and its states when others join: results stay comparable."""
    states = tasks.init_states(tasks.task('breakfast', 0))
    (prepared / 'a_first_one.bddl').write_text(SCENE.replace('0.24', '0.22'))
    kept, new = prepare_suite(prepared, {})
    assert (kept.task.index, kept.drawn) == (0, 'init states kept')
    assert (new.task.index, new.task.name) == (1, 'a_first_one')
    assert new.drawn.startswith('50 init states drawn')
    file = f'init_states/{NAME}.npz'
    assert (prepared / file).read_bytes() == (prepared_once / file).read_bytes()
    tasks._tasks.cache_clear()
    others = tasks.init_states(tasks.task('breakfast', 1))
    assert others.shape == states.shape
    assert not np.isin(others[:, 1], states[:, 1]).any(), 'two tasks share their random numbers'


def test_what_is_said_at_the_end_can_be_typed(prepared, monkeypatch, capsys):
    """A path with a space gets quotes, and a link's name is the suite's."""
    (prepared.parent / 'my suites').mkdir()
    link = prepared.parent / 'my suites' / 'tea'
    link.symlink_to(prepared)
    assert main(['suite', str(link)]) == 0
    assert f"suite tea is ready after: export SMOOTHVLA_SUITES='{link.parent}'" in (
        capsys.readouterr().out
    )
    look_in(link.parent, monkeypatch)
    assert tasks.task('tea', 0).remedy == f"run `smoothvla suite '{link}'`"


def test_states_are_drawn_again_as_they_were(folder, prepared_once):
    """Whoever has the folder's BDDL files has the same suite."""
    prepare_suite(folder, {})
    file = f'init_states/{NAME}.npz'
    assert (folder / file).read_bytes() == (prepared_once / file).read_bytes()


def test_states_of_another_scene_are_not_used(prepared):
    """A module may bring another object under the old name: the numbers no longer fit."""
    task = tasks.task('breakfast', 0)
    states = tasks.init_states(task)
    digest = own_suites.drawn_from(task.init_states_file)
    own_suites.write_init_states(task.init_states_file, states[:, :-1], digest)
    tasks.init_states.cache_clear()
    environment = Environment(task, RenderSettings(size=64))
    with pytest.raises(UserError, match=f'have {states.shape[1] - 1} numbers.*smoothvla suite'):
        environment.reset(EpisodeName('breakfast', 0, 0, 0))
    environment.close()


def test_a_scene_that_changes_under_a_process_is_not_gone_on_with(prepared):
    """A bridge or a worker built it hours ago: its scene is no longer the one of that name."""
    environment = Environment(tasks.task('breakfast', 0), RenderSettings(size=64))
    environment.reset(EpisodeName('breakfast', 0, 0, 0))
    scene = prepared / f'{NAME}.bddl'
    scene.write_text(SCENE.replace('0.24', '0.22'))
    with pytest.raises(UserError, match=rf'{NAME}\.bddl was changed while suite .breakfast. is in'):
        environment.reset(EpisodeName('breakfast', 0, 0, 0))
    scene.write_text(SCENE)
    environment.reset(EpisodeName('breakfast', 0, 1, 0))
    environment.close()


ANOTHER_TABLE = {
    'LIBERO_Tabletop': 'LIBERO_Living_Room_Tabletop',
    'main_table - table': 'living_room_table - living_room_table',
    'main_table': 'living_room_table',
    'cookies_1 - cookies': 'cookies_1 - milk',
    '-0.14 -0.12 -0.02 0.02': '0.095 -0.235 0.145 -0.185',
}


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        # The plate is put over the edge of the table, of 1 by 1.2 m.
        ({'0.02 0.14 0.08 0.24': '0.9 0.14 0.96 0.24'}, 'plate_1 falls or is thrown out: 50'),
        # LIBERO puts a carton of milk so low on this table that it is thrown into the air.
        (ANOTHER_TABLE, 'cookies_1 falls or is thrown out: 50'),
        # Solved as soon as it begins.
        ({'On cookies_1 main_table_cookies_region': 'On cookies_1 plate_1'}, 'already: 50'),
    ],
)
def test_a_task_that_cannot_be_begun_is_refused_with_the_reason(folder, changes, said):
    """Nothing is written of a suite whose episodes would be lost or won before they begin."""
    scene = SCENE
    for old, new in changes.items():
        assert old in scene
        scene = scene.replace(old, new)
    (folder / f'{NAME}.bddl').write_text(scene)
    with pytest.raises(UserError, match=f'from 0 of 50 draws.*{said}'):
        prepare_suite(folder, {})
    assert not (folder / own_suites.SETTINGS).exists()


def test_every_task_that_is_refused_is_named_and_the_others_are_drawn(folder):
    """Drawing takes half a minute a task: one that is refused does not cost those behind it."""
    solved = SCENE.replace('On cookies_1 main_table_cookies_region', 'On cookies_1 plate_1')
    for name in ('a_solved', 'z_solved'):
        (folder / f'{name}.bddl').write_text(solved)
    with pytest.raises(UserError, match=r'a_solved\.bddl: an episode.*\n.*z_solved\.bddl: an epi'):
        prepare_suite(folder, {})
    assert [file.stem for file in (folder / 'init_states').iterdir()] == [NAME]


def test_a_file_that_ends_in_capitals_is_named(folder):
    """Pins that no task is left out in silence where file names differ in capitals."""
    (folder / f'{NAME}.bddl').rename(folder / f'{NAME}.BDDL')
    with pytest.raises(UserError, match=r'\.BDDL: rename it to end with \.bddl'):
        prepare_suite(folder, {})


def test_objects_of_ones_own_are_registered_in_every_process(folder, monkeypatch):
    """Pins object_modules: a module beside the scenes brings an object that LIBERO lacks."""
    (folder / 'chess_objects.py').write_text(BLOCK_MODULE)
    (folder / 'chess_block.xml').write_text(BLOCK_XML)
    scene = folder / f'{NAME}.bddl'
    scene.write_text(SCENE.replace('cookies_1 - cookies', 'cookies_1 - chess_block'))
    with pytest.raises(
        UserError, match=r"'chess_block', which LIBERO does not know.*object_modules"
    ):
        prepare_suite(folder, {})
    try:
        (line,) = prepare_suite(folder, {'object_modules': ('chess_objects',)})
        red = line.images[0].astype(int)
        assert (red[..., 0] - red[..., 1] > 100).sum() > 20, 'the block is not to be seen'
        assert tasks.task('breakfast', 0).object_modules == ('chess_objects',)
    finally:
        sys.modules.pop('chess_objects', None)
        sys.path.remove(str(folder))


@pytest.mark.parametrize('module', ['nowhere_to_be_found', 'broken_objects', 'a/b'])
def test_a_module_that_cannot_be_imported_is_named(folder, module):
    """Pins one line with the suite, the setting and the module."""
    (folder / 'broken_objects.py').write_text('1 / 0\n')
    try:
        with pytest.raises(UserError, match=f"'breakfast': object_modules='{module}' cannot be"):
            prepare_suite(folder, {'object_modules': (module,)})
    finally:
        sys.path.remove(str(folder))


def test_a_module_of_another_suite_does_not_stand_in(folder, tmp_path, monkeypatch):
    """Two suites with a file of one name in one process: the objects would be the other's."""
    other = write_suite(tmp_path / 'suites' / 'other', {NAME: SCENE})
    for place in (folder, other):
        (place / 'lab_objects.py').write_text('')
    monkeypatch.setattr(sys, 'path', [*sys.path])
    monkeypatch.delitem(sys.modules, 'lab_objects', raising=False)
    for place in (other, other):
        user_module('lab_objects', 'object_modules', place)
    with pytest.raises(UserError, match=r"'lab_objects' is .*other/lab_objects\.py.*rename"):
        user_module('lab_objects', 'object_modules', folder)
    del sys.modules['lab_objects']


@pytest.mark.parametrize(
    ('name', 'said'),
    [
        ('libero_goal', "cannot be called 'libero_goal'"),
        ('my suite', "cannot be called 'my suite'"),
    ],
)
def test_a_name_that_cannot_be_a_suites_is_refused(folder, name, said):
    """A name is what everything else finds the suite by."""
    with pytest.raises(UserError, match=said):
        prepare_suite(folder.rename(folder.with_name(name)), {})


def test_a_task_whose_file_is_gone_is_named(prepared):
    """Pins one line for a task that `suite.yaml` still has, as for one misspelt in --tasks."""
    (prepared / f'{NAME}.bddl').unlink()
    for given in ({}, {'tasks': ('put_the_plate_away',)}):
        with pytest.raises(
            UserError, match=r'\.bddl is missing, which suite\.yaml names; put it b'
        ):
            prepare_suite(prepared, given)


def test_a_file_that_is_no_text_is_named(folder):
    """A name in another encoding is one line, not a traceback."""
    (folder / f'{NAME}.bddl').write_bytes(SCENE.replace('Plate)', 'Café)').encode('latin-1'))
    with pytest.raises(UserError, match=rf'{NAME}\.bddl cannot be read .*; give a BDDL file'):
        prepare_suite(folder, {})


def test_a_folder_without_scenes_is_refused(tmp_path):
    """Pins both: none there, and none in it."""
    with pytest.raises(UserError, match='is no folder'):
        prepare_suite(tmp_path / 'nothing', {})
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='holds no BDDL file'):
        prepare_suite(tmp_path / 'empty', {})
