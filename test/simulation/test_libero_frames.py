"""The scenes that published proprioception is told in, against LIBERO's own task files."""

import re

import pytest

from smoothvla_ros.policies.openvla.libero_frames import (
    FLOOR,
    LIVING_ROOM,
    STUDY,
    TABLE,
    base_position,
)
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
        found = re.search(
            r'\(problem\s+libero_(\w+)_manipulation', task.bddl_file.read_text(), re.I
        )
        assert found is not None
        expected = _KINDS[found[1]]
        assert base_position(f'{suite}_no_noops', task.language) == expected, task.language
