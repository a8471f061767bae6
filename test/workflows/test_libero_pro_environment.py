"""The example that makes LIBERO-PRO's perturbed environments writes scenes that are in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.scenes.scene_file import check_scene_file

SCRIPT = Path(__file__).parents[2] / 'examples' / 'libero_pro_environment.py'


@pytest.mark.parametrize(
    ('suite', 'count'), [('libero_goal', 10), ('libero_object', 10), ('libero_10', 5)]
)
def test_every_task_is_moved_with_its_instruction(tmp_path, suite, count):
    """Pins the scene's kind, its table and the words; tasks that are there already are left out."""
    folder = tmp_path / suite
    command = [sys.executable, SCRIPT, suite, folder]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert told.count('left out') == 10 - count
    moved = {file.stem: file for file in folder.glob('*.bddl')}
    assert len(moved) == count
    for task in tasks.tasks(suite):
        if task.name in moved:
            assert check_scene_file(moved[task.name]) == task.language
            scene = moved[task.name].read_text()
            assert '(problem LIBERO_Living_Room_Tabletop_Manipulation)' in scene
            assert 'living_room_table - living_room_table' in scene
            before = task.bddl_file.read_text()
            assert scene.count('living_room_table_') == sum(
                before.count(f'{arena}_')
                for arena in ('main_table', 'kitchen_table', 'study_table', 'floor')
            )
