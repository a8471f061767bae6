"""A suite of one's own for tests: BDDL files as a user would write them, small enough to build."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.suites import own_suites

SCENE = """
(define (problem LIBERO_Tabletop_Manipulation)
  (:domain robosuite)
  (:language Put the Cookies on the Plate)  ; told in lower case
  (:regions
    (cookies_region (:target main_table) (:ranges ((-0.14 -0.12 -0.02 0.02))))
    (plate_region (:target main_table) (:ranges ((0.02 0.14 0.08 0.24))))
  )
  (:fixtures main_table - table)
  (:objects cookies_1 - cookies plate_1 - plate)
  (:obj_of_interest cookies_1 plate_1)
  (:init (On cookies_1 main_table_cookies_region) (On plate_1 main_table_plate_region))
  (:goal (And (On cookies_1 plate_1)))
)
"""


def write_suite(folder: Path, scenes: dict[str, str]) -> Path:
    """Write a folder of BDDL files that is not prepared yet, and return it."""
    folder.mkdir(parents=True)
    for name, text in scenes.items():
        (folder / f'{name}.bddl').write_text(text)
    return folder


def pretend_prepared(
    folder: Path, names: list[str], extra: str = 'horizon: 70\n', last: float = 1.0
) -> None:
    """Write suite.yaml and states that are no scene's, those of the last task full of a number."""
    (folder / 'suite.yaml').write_text(f'tasks: [{", ".join(names)}]\n{extra}')
    for name in names:
        own_suites.write_init_states(
            folder / 'init_states' / f'{name}.npz',
            np.full((50, 3), last if name == names[-1] else 0.0),
            own_suites.file_sha256(folder / f'{name}.bddl'),
        )
    tasks._tasks.cache_clear()
    tasks.init_states.cache_clear()


def look_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let suites be found in a folder, in this process and those that it starts."""
    monkeypatch.setenv(own_suites.VARIABLE, str(folder))
    tasks._tasks.cache_clear()
