"""Where the arm stands in LIBERO's scenes: published proprioception is in the scene's frame.

The data sets tell the tool's position in the frame of the scene, while everything here speaks of
the arm's own base. The base stands elsewhere in each kind of scene, and libero_10 and libero_90 mix
three kinds; only the instruction tells which. `test/simulation/test_libero_frames.py` holds both
tables against LIBERO's own files.
"""

from __future__ import annotations

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
_LONG = (
    dict.fromkeys(_LIVING_ROOM_TASKS, LIVING_ROOM)
    | dict.fromkeys(_STUDY_TASKS, STUDY)
    | dict.fromkeys(_KITCHEN_TASKS, TABLE)
)


def base_position(data_set: str, instruction: str) -> tuple[float, float, float]:
    """Return where the arm's base stands, m, in the scene that a data set's instruction is from.

    data_set: name of the statistics, ``libero_spatial_no_noops`` for example.
    Raises UserError if it cannot be known.
    """
    for suite, position in _SUITES.items():
        if data_set.startswith(suite):
            return position
    known = _LONG.get(instruction.lower().strip()) if data_set.startswith('libero_10') else None
    if known is None:
        raise UserError(
            f'where the arm stands for {instruction!r} in data set {data_set!r} is not known, and '
            'this policy is told the position of its tool in the scene; use a suite of the data set'
        )
    return known
