"""What is wrong with a scene's file is said before anything is built of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_suite import SCENE, look_in, pretend_prepared, write_suite

from smoothvla_ros.errors import UserError
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.scenes import libero_scene
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_file import check_scene_file
from smoothvla_ros.simulation.suites.task import told_instruction


@pytest.mark.parametrize('suite', ['libero_spatial', 'libero_object', 'libero_goal', 'libero_10'])
def test_liberos_own_scenes_are_in_order(suite):
    """What LIBERO itself wrote is never refused: users begin with a copy."""
    for task in tasks.tasks(suite):
        assert check_scene_file(task.bddl_file)


@pytest.mark.parametrize(
    ('old', 'new', 'said'),
    [
        ('(:goal (And', '(:goal And', r"'\)' in line 14 comes after the end; take it out"),
        ('(define', '(design', r'does not begin with \(define'),
        ('plate_1)))', 'plate_1))', '1 of its brackets are never closed'),
        ('(:domain robosuite)', '', r'no \(:domain robosuite\)'),
        ('(:domain robosuite)', '; (:domain robosuite)\n', r'no \(:domain robosuite\)'),
        ('LIBERO_Tabletop', 'LIBERO_Moon', "'libero_moon_manipulation' is no scene of LIBERO"),
        ('(:language Put the Cookies on the Plate)', '', r'no \(:language'),
        ('- cookies plate_1', '- biscuits plate_1', "cookies_1 of .:objects. is a 'biscuits'"),
        ('(On plate_1 main_table_plate_region))', ')', 'plate_1 is placed 0 times'),
        ('_plate_region))', '_dish_region))', "there is no 'main_table_dish_region'"),
        ('(plate_region (:target main_table)', '(plate_region (:target desk)', 'no .main_table_pl'),
        ('(On cookies_1 main', '(On cookies_1 plate_1 main', 'needs an object and a place'),
        (
            '(On plate_1 main_table_plate_region)',
            '(On plate_1 main_table)',
            r'puts nothing on main_table as a whole; add a region',
        ),
        (
            '(On cookies_1 main_table_cookies_region)',
            '(In cookies_1 plate_1)',
            r'puts nothing in plate_1 as a whole',
        ),
        ('(:init', '(:init (Opne plate_1)', r"'opne' in .:init. is unknown; choose from on, in, o"),
        ('(:init', '(:init (Open plate_2)', r"there is no 'plate_2'"),
        ('(:init', '(:init (Open plate_1 plate_1)', 'needs one name'),
        (
            '(And (On cookies_1 plate_1))',
            '(And (On cookies_1))',
            r'\(on cookies_1\) in .:goal. needs 2',
        ),
        ('(And (On cookies_1 plate_1))', '(And (Eat cookies_1))', "'eat' in .:goal. is unknown"),
        ('(And (On cookies_1 plate_1))', '(And (On cookies_2 plate_1))', "there is no 'cookies_2'"),
        ('(:language Put', '(:language (softly) Put', r'brackets within \(:language'),
        ('(:goal (And (On cookies_1 plate_1)))', '(:goal On plate_1)', 'LIBERO cannot read it'),
        ('(:goal', '(:init)\n(:goal', ':init stands 2 times among the groups'),
        (
            'cookies_1 - cookies',
            'cookies_1 - cookies cookies_2 - cookies',
            r'cookies stands 2 times among the kinds of .:objects.; name all of a kind before',
        ),
        (
            '(:regions',
            '(:regions (plate_region (:target main_table) (:ranges ((0 0 1 1))))',
            r'main_table_plate_region stands 2 times among .:regions.; give one another name',
        ),
        ('\n(define', '\ufeff(define', 'begins with a byte order mark'),
        ('(:goal', '(:gaol', ':gaol is not recognized in problem; correct its name'),
        ('0.02))', '0.02 1))', 'LIBERO cannot use this scene .AssertionError: Dimension'),
        ('0.02))', 'far))', 'LIBERO cannot use this scene .ValueError'),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path, old, new, said):
    """Pins what is said of every mistake that a user of LIBERO makes."""
    assert old in SCENE
    with pytest.raises(UserError, match=said) as caught:
        check_scene_file(_written(tmp_path, SCENE.replace(old, new, 1)))
    assert '\n' not in str(caught.value)
    assert str(tmp_path / 'scene.bddl') in str(caught.value)


@pytest.mark.parametrize('angle', ['exit', '9**9**9', '__import__', 'print', '1e5j'])
def test_an_angle_is_never_run_as_a_program(tmp_path, angle):
    """LIBERO evaluates angles as Python: what is more than arithmetic does not get that far."""
    with pytest.raises(UserError, match='is no number; give radians'):
        check_scene_file(_written(tmp_path, _turned(angle)))


def test_a_suite_that_was_prepared_elsewhere_runs_no_program_either(tmp_path, monkeypatch):
    """Whoever hands a suite on with init states that fit it has not had it checked."""
    mark = tmp_path / 'mark'
    # A program without a space or a bracket, which the reader would take apart.
    angle = f"[help[\"open\\x28'{mark}','w'\\x29\"]for[help.__class__.__getitem__]in[[eval]]][0]"
    folder = write_suite(tmp_path / 'suites' / 'given', {'first': _turned(angle)})
    pretend_prepared(folder, ['first'])
    look_in(folder.parent, monkeypatch)
    with pytest.raises(UserError, match='is no number; give radians'):
        libero_scene.build(tasks.task('given', 0), SceneLibrary())
    assert not mark.exists()


def test_an_angle_may_be_arithmetic(tmp_path):
    """Pins that LIBERO's own way to write a turn is taken."""
    assert (
        check_scene_file(_written(tmp_path, _turned('-3*pi/4'))) == 'put the cookies on the plate'
    )


def test_a_space_behind_a_bracket_changes_nothing(tmp_path):
    """LIBERO takes `( :language`, which left a policy without any instruction."""
    path = _written(tmp_path, SCENE.replace('(:', '( :'))
    assert check_scene_file(path) == told_instruction(path) == 'put the cookies on the plate'


@pytest.mark.parametrize('content', [b'', b'\xff\xfe', b'()', b'(define)', b'; nothing\n'])
def test_what_is_no_scene_at_all_is_one_line(tmp_path, content):
    """A file that is empty, binary or something else."""
    path = tmp_path / 'scene.bddl'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'scene\.bddl'):
        check_scene_file(path)


def _turned(angle: str) -> str:
    place = '(:target main_table) (:ranges ((0.02 0.14 0.08 0.24)))'
    assert place in SCENE
    return SCENE.replace(place, f'{place} (:yaw_rotation ((0.0 {angle})))')


def _written(folder: Path, text: str) -> Path:
    path = folder / 'scene.bddl'
    path.write_text(text)
    return path
