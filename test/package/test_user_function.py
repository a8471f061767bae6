"""A function of the user's own is found where the user stands, and shadows nothing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.user_function import user_function


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of its own that is not on the path, as a console script does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [entry for entry in sys.path if entry])
    return tmp_path


def test_a_module_in_the_working_directory_is_found(here):
    """`smoothvla train --reward my_rewards:short` beside my_rewards.py, with its neighbours."""
    (here / 'a_reward_of_mine.py').write_text(
        'def short():\n    from its_neighbour import NUMBER\n\n    return NUMBER\n'
    )
    (here / 'its_neighbour.py').write_text('NUMBER = 7\n')
    assert user_function('a_reward_of_mine:short', 'reward', ('binary',))() == 7


def test_what_is_installed_is_not_shadowed(here, monkeypatch):
    """A file that is called like a module of Python is not taken for it."""
    (here / 'colorsys.py').write_text('def rgb_to_hsv():\n    return None\n')
    monkeypatch.delitem(sys.modules, 'colorsys', raising=False)
    assert user_function('colorsys:rgb_to_hsv', 'reward', ())(0, 0, 0) == (0.0, 0.0, 0)


def test_a_module_that_is_nowhere_is_named_with_where_it_was_looked_for(here):
    """The remedy is a place, not only a form."""
    with pytest.raises(UserError) as error:
        user_function('nowhere:short', 'reward: reward', ('binary', 'smooth'))
    assert f"No module named 'nowhere'; its file is looked for on PYTHONPATH and in {here};" in str(
        error.value
    )


@pytest.mark.parametrize(
    ('source', 'said'),
    [
        ('x = 1\ndef f(:\n    pass\n', 'SyntaxError: invalid syntax at {}:2'),
        ('\n\nx = 1 / 0\n', 'ZeroDivisionError: division by zero at {}:3'),
        ('import nowhere_to_be_found\n', "No module named 'nowhere_to_be_found' at {}:1"),
        ('import json\n\njson.loads("{")\n', 'JSONDecodeError: .* at {}:3'),
    ],
)
def test_a_module_that_cannot_be_run_is_one_line_with_its_place(here, source, said):
    """Type, message, file and line of what is the user's, not of a library below it."""
    name = f'broken_{abs(hash(source))}'
    file = here / f'{name}.py'
    file.write_text(source)
    with pytest.raises(UserError, match=said.format(re.escape(str(file)))) as error:
        user_function(f'{name}:short', 'reward: reward', ('binary',))
    text = str(error.value)
    assert text.startswith(f"reward: reward='{name}:short' cannot be imported: ")
    assert 'PYTHONPATH' not in text
    assert '\n' not in text


@pytest.mark.parametrize('name', [':short', '.a:short', 'json.:short'])
def test_a_name_that_no_module_can_have_is_one_line(here, name):
    """Not what the import machinery says to programmers."""
    with pytest.raises(UserError, match=f"reward='{re.escape(name)}' cannot be imported"):
        user_function(name, 'reward: reward', ('binary',))
