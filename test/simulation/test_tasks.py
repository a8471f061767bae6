import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation import tasks


def test_every_suite_lists_its_tasks_with_fifty_init_states_each():
    """Pins the suites and variants by name, and that each task's files are installed."""
    assert len(tasks.SUITES) == 5 + 4 * 4
    for suite in tasks.SUITES:
        found = tasks.tasks(suite)
        assert len(found) == (90 if suite == 'libero_90' else 10)
        assert len({task.name for task in found}) == len(found)
        assert [task.index for task in found] == list(range(len(found)))
        states = tasks.init_states(found[-1])
        assert states.shape[0] == 50
        assert states.dtype == np.float64
        assert np.isfinite(states).all()


def test_horizons_are_the_published_ones_and_variants_keep_their_base_suites():
    """Pins 220 / 280 / 300 / 520 / 400 control steps."""
    base = {suite: tasks.horizon(suite) for suite in tasks.SUITES[:5]}
    assert base == {
        'libero_spatial': 220,
        'libero_object': 280,
        'libero_goal': 300,
        'libero_10': 520,
        'libero_90': 400,
    }
    assert tasks.horizon('libero_goal_swap') == 300


def test_instructions_are_the_ones_policies_are_evaluated_with():
    """Pins the task's name in words, and the reworded instruction where a variant rewords it."""
    assert tasks.task('libero_goal', 7).language == 'turn on the stove'
    assert tasks.task('libero_goal_swap', 7).language == 'turn on the stove'
    assert tasks.task('libero_goal_lan', 0).language == "open the cabinet's middle drawer"
    assert tasks.task('libero_goal_task', 0).language == 'open the bottom drawer of the cabinet'
    for task in tasks.tasks('libero_90'):
        assert 'SCENE' not in task.language
        assert task.language == task.language.lower()


@pytest.mark.parametrize(
    ('ask', 'named'),
    [
        (lambda: tasks.tasks('libero_spacial'), "'libero_spacial'.*libero_spatial"),
        (lambda: tasks.horizon('libero_90_swap'), "'libero_90_swap'"),
        (lambda: tasks.task('libero_goal', 10), '10.*0 to 9'),
        (lambda: tasks.task('libero_goal', -1), '-1.*0 to 9'),
    ],
)
def test_unknown_suites_and_tasks_are_user_errors_that_name_the_valid_ones(ask, named):
    """Pins one line with the bad value and the choices."""
    with pytest.raises(UserError, match=named) as caught:
        ask()
    assert '\n' not in str(caught.value)


def test_a_libero_of_ones_own_that_lacks_a_file_is_named_with_what_led_there(tmp_path, monkeypatch):
    """The file that says where to look is to be corrected, not the package installed again."""
    config = tmp_path / 'config.yaml'
    config.write_text(f'init_states: {tmp_path}\n')
    monkeypatch.setenv('LIBERO_CONFIG_PATH', str(tmp_path))
    tasks._tasks.cache_clear()
    named = rf'{tmp_path}/libero_goal/.*\.npz is missing; {config} .*unset LIBERO_CONFIG_PATH'
    with pytest.raises(UserError, match=named) as caught:
        tasks.tasks('libero_goal')
    assert 'reinstall' not in str(caught.value)


@pytest.mark.parametrize('content', [': : {', '- a list', 'bddl_files: 3', '\x00'])
def test_a_damaged_config_of_libero_is_one_line_that_names_it(tmp_path, monkeypatch, content):
    """Whatever is wrong with it: no YAML, no mapping, no path."""
    (tmp_path / 'config.yaml').write_text(content)
    monkeypatch.setenv('LIBERO_CONFIG_PATH', str(tmp_path))
    tasks._tasks.cache_clear()
    with pytest.raises(UserError, match=rf'{tmp_path}/config.yaml .*unset LIBERO_CONF') as caught:
        tasks.tasks('libero_goal')
    assert '\n' not in str(caught.value)


def cut(content):
    """Return the first half."""
    return content[: len(content) // 2]


def flipped(content):
    """Return the same with one byte in the middle of the compressed states inverted."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0xFF]) + content[middle + 1 :]


@pytest.mark.parametrize('damaged', [cut, flipped])
def test_damaged_init_states_are_one_line_with_file_and_remedy(tmp_path, damaged):
    """A half copied file and one with a flipped byte are named, not answered by a traceback."""
    task = tasks.task('libero_goal', 3)
    file = tmp_path / task.init_states_file.name
    file.write_bytes(damaged(task.init_states_file.read_bytes()))
    with pytest.raises(UserError, match=f'init states {file}: .*; reinstall libero-pro') as caught:
        tasks.init_states(dataclasses.replace(task, init_states_file=file))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
    ('arrays', 'said'),
    [
        ({'state': np.zeros((2, 3))}, "no array 'states'"),
        ({'states': np.array(['one'])}, 'could not convert string to float'),
        ({'states': np.zeros(2, [('time', float), ('position', float)])}, 'Cannot cast'),
    ],
)
def test_init_states_without_numbers_are_one_line(tmp_path, arrays, said):
    """An archive of something else says what is wrong with it."""
    file = tmp_path / 'states.npz'
    np.savez(file, **arrays)
    with pytest.raises(UserError, match=f'init states {file}: {said}') as caught:
        tasks.init_states(dataclasses.replace(tasks.task('libero_goal', 3), init_states_file=file))
    assert '\n' not in str(caught.value)


def test_listing_tasks_and_splitting_episodes_imports_no_simulator():
    """Pins that a command line lists suites at once."""
    program = (
        'import sys\n'
        'from smoothvla_ros.simulation import splits, tasks\n'
        'from smoothvla_ros.simulation.rendering import settings\n'
        'splits.episode_names("libero_goal", 0, splits.Split.TRAIN, 3, 0)\n'
        'heavy = {"mujoco", "robosuite", "torch", "numba"} & set(sys.modules)\n'
        'sys.exit(f"imported {heavy}" if heavy else 0)\n'
    )
    result = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ''
