"""Where the arm stands in LIBERO's scenes: published proprioception is in the scene's frame.

The data sets tell the tool's position in the frame of the scene, while everything here speaks of
the arm's own base. The base stands elsewhere in each kind of scene, and libero_10 and libero_90 mix
three kinds; only the instruction tells which. `test/simulation/test_libero_frames.py` holds both
tables against LIBERO's own files.
"""

from __future__ import annotations

import re

from smoothvla_ros.errors import UserError

# m, of panda_link0.
TABLE = (-0.66, 0.0, 0.912)
FLOOR = (-0.6, 0.0, 0.0)
LIVING_ROOM = (-0.51, 0.0, 0.42)
STUDY = (-0.75, 0.0, 0.912)

_SUITES = {'libero_spatial': TABLE, 'libero_object': FLOOR, 'libero_goal': TABLE}
_LIVING_ROOM_TASKS = (
    'put both the alphabet soup and the tomato sauce in the basket',
    'put both the cream cheese box and the butter in the basket',
    'put both the alphabet soup and the cream cheese box in the basket',
    'put the white mug on the left plate and put the yellow and white mug on the right plate',
    'put the white mug on the plate and put the chocolate pudding to the right of the plate',
)
_STUDY_TASKS = ('pick up the book and place it in the back compartment of the caddy',)
_KITCHEN_TASKS = (
    'turn on the stove and put the moka pot on it',
    'put the black bowl in the bottom drawer of the cabinet and close it',
    'put both moka pots on the stove',
    'put the yellow and white mug in the microwave and close it',
)
_GOAL_TASKS = (
    'open the middle drawer of the cabinet',
    'put the bowl on the stove',
    'put the wine bottle on top of the cabinet',
    'open the top drawer and put the bowl inside',
    'put the bowl on top of the cabinet',
    'push the plate to the front of the stove',
    'put the cream cheese in the bowl',
    'turn on the stove',
    'put the bowl on the plate',
    'put the wine bottle on the rack',
)
_SPATIAL_TASK = re.compile('pick up the black bowl .* place it on the plate')
_OBJECT_TASK = re.compile('pick up the .* and place it in the basket')
_LONG = (
    dict.fromkeys(_LIVING_ROOM_TASKS, LIVING_ROOM)
    | dict.fromkeys(_STUDY_TASKS, STUDY)
    | dict.fromkeys(_KITCHEN_TASKS, TABLE)
)


ALL_SUITES = 'libero'
"""Names the data that libero_spatial, _object, _goal and _10 make together."""

ROBOT_BASE = 'base'
"""Names data in which the scene's frame is the arm's own base, as on a table of one's own."""


def base_position(data_set: str, instruction: str) -> tuple[float, float, float]:
    """Return where the arm's base stands, m, in the scene that a data set's instruction is from.

    data_set: name of the statistics, ``libero_spatial_no_noops`` for example, `ALL_SUITES` or
    `ROBOT_BASE`.  Raises UserError if it cannot be known.
    """
    if data_set == ROBOT_BASE:
        return 0.0, 0.0, 0.0
    for suite, position in _SUITES.items():
        if data_set.startswith(suite):
            return position
    asked = instruction.lower().strip()
    known = None
    if data_set.startswith('libero_10') or data_set == ALL_SUITES:
        known = _LONG.get(asked)
    if data_set == ALL_SUITES and known is None:
        known = _in_any_suite(asked)
    if known is None:
        raise UserError(
            f'where the arm stands for {instruction!r} in data set {data_set!r} is not known, and '
            'this policy is told the position of its tool in the scene; use a suite of the data '
            "set, or set frame in the config.json of a policy server ('base' on an arm of your own)"
        )
    return known


def _in_any_suite(instruction: str) -> tuple[float, float, float] | None:
    """Return where the arm stands for a task of one of the three short suites, else None."""
    if _SPATIAL_TASK.fullmatch(instruction) or instruction in _GOAL_TASKS:
        return TABLE
    return FLOOR if _OBJECT_TASK.fullmatch(instruction) else None
