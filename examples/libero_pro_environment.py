"""LIBERO-PRO's fifth kind of perturbation, another environment, as a suite of one's own.

LIBERO-PRO has no files of this kind: its program makes them by moving each task, as it is, to the
living room's table. This writes the same scenes, with the instructions that policies are told:

    python examples/libero_pro_environment.py libero_goal ~/suites/libero_goal_environment
    smoothvla suite ~/suites/libero_goal_environment --horizon 300
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from smoothvla_ros.simulation.suites.task import Task
from smoothvla_ros.simulation.tasks import tasks

TABLE, PROBLEM = 'living_room_table', 'LIBERO_Living_Room_Tabletop_Manipulation'
ARENAS = ('main_table', 'kitchen_table', 'study_table', 'floor')


def moved_scene(task: Task) -> str | None:
    """Return a task's scene on the living room's table; None for one that is there already."""
    scene = task.bddl_file.read_text()
    arena = next((name for name in ARENAS if re.search(rf'\b{name} - ', scene)), None)
    if arena is None:
        return None
    scene = re.sub(rf'{arena} - \w+', f'{TABLE} - {TABLE}', scene)
    scene = scene.replace(arena, TABLE)
    scene = re.sub(r'\(problem\s+\w+\)', f'(problem {PROBLEM})', scene)
    return re.sub(r'\(:language[^)]*\)', f'(:language {task.language})', scene)


def main() -> None:
    """Write a folder of scenes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('suite', help='libero_spatial, libero_object, libero_goal or libero_10')
    parser.add_argument('folder', type=Path, help='a new folder; its name is the suite')
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True)
    for task in tasks(arguments.suite):
        scene = moved_scene(task)
        if scene is None:
            print(f'{task.language}: is in the living room already, left out')
        else:
            (arguments.folder / f'{task.name}.bddl').write_text(scene)


if __name__ == '__main__':
    main()
