"""The scenes that published proprioception is told in, against LIBERO's own task files."""

import re

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.policies.libero_frames import (
    ALL_SUITES,
    FLOOR,
    LIVING_ROOM,
    STUDY,
    TABLE,
    base_position,
)
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.tasks import tasks

_KINDS = {
    'tabletop': TABLE,
    'kitchen_tabletop': TABLE,
    'floor': FLOOR,
    'living_room_tabletop': LIVING_ROOM,
    'study_tabletop': STUDY,
}


@pytest.mark.parametrize('suite', ['libero_spatial', 'libero_object', 'libero_goal', 'libero_10'])
def test_every_task_has_the_base_of_its_scene(suite: str):
    """The kind of scene that a task's file names is the one its instruction is looked up as."""
    for task in tasks(suite):
        scene = task.bddl_file.read_text().lower()
        found = re.search(r'\(problem\s+libero_(\w+)_manipulation', scene)
        assert found is not None
        expected = _KINDS[found[1]]
        assert base_position(f'{suite}_no_noops', task.language) == expected, task.language
        assert base_position(ALL_SUITES, task.language) == expected, task.language


def test_task_of_no_suite_is_not_guessed_at():
    """A tool told to be elsewhere by 0.9 m would reach into nothing."""
    for data_set in (ALL_SUITES, 'libero_10', 'bridge'):
        with pytest.raises(UserError, match='is not known'):
            base_position(data_set, 'put the black bowl in the basket')


@pytest.mark.slow
@pytest.mark.parametrize(
    ('suite', 'index', 'expected'),
    [
        ('libero_spatial', 0, TABLE),
        ('libero_object', 0, FLOOR),
        ('libero_10', 0, LIVING_ROOM),
        ('libero_10', 2, TABLE),
        ('libero_10', 5, STUDY),
    ],
)
def test_the_arm_stands_where_the_table_says(suite, index, expected):
    """LIBERO's own compiled scenes hold the base there, unturned."""
    environment = libero_scene.build(tasks(suite)[index], SceneLibrary())
    data = environment.sim.data
    base = environment.sim.model.body_name2id('robot0_base')
    assert np.allclose(data.body_xpos[base], expected, atol=1e-9)
    assert np.allclose(data.body_xquat[base], [1.0, 0.0, 0.0, 0.0], atol=1e-9)
