"""`smoothvla analyze` on samples that something is wrong with, and on what it cannot analyse."""

from __future__ import annotations

import numpy as np
import pytest
from bags import write_bag
from known_motion import NAMES, analysed, motion

from smoothvla_ros.cli import main


def faulty(time: np.ndarray, fault: str) -> tuple[np.ndarray, np.ndarray, dict]:
    """Return stamps, positions and options of a recording with one fault."""
    positions, options = motion(time), {}
    if fault == 'late':
        time = time.copy()
        time[[300, 301]] = time[[301, 300]]
        positions[[300, 301]] = positions[[301, 300]]
        options['received_s'] = np.arange(len(time)) * 0.01
    elif fault == 'jump':
        options['received_s'] = time
        time = np.where(time < 6, time + 100, time)
    elif fault == 'twice':
        time, positions = np.repeat(time, 2), np.repeat(positions, 2, axis=0)
    elif fault == 'unstamped':
        options['stamped'] = False
    elif fault == 'early':
        options['received_s'] = time
        time = np.where(time < 0.05, 0.0, time + 2.0**30)
    elif fault == 'gap':
        keep = (time < 4) | (time > 4.5)
        time, positions = time[keep], positions[keep]
    elif fault == 'infinite':
        positions[200] = np.inf
    return time, positions, options


@pytest.mark.parametrize(
    ('fault', 'line'),
    [
        ('late', '1 samples came out of order'),
        ('jump', 'the stamps jump back 1 times'),
        ('twice', '1200 samples came twice'),
        ('unstamped', 'the headers have no stamps'),
        ('gap', '1 gaps longer than'),
        ('infinite', '1 samples are not finite'),
        ('early', '5 samples have no stamp'),
    ],
)
def test_what_is_wrong_with_the_samples_is_said_and_does_no_harm(tmp_path, capsys, fault, line):
    """Each fault has its own line, and the peak stays that of the motion."""
    time = np.arange(1200) * 0.01
    clean = write_bag(tmp_path / 'clean', time, motion(time), NAMES)
    stamps, positions, options = faulty(time, fault)
    bad = write_bag(tmp_path / 'bad', stamps, positions, NAMES, **options)
    found = analysed(tmp_path, str(clean), str(bad), '--robot', 'panda')['bags']
    assert found[0]['notes'] == []
    assert any(line in note for note in found[1]['notes'])
    assert f'note: {line}' in capsys.readouterr().out
    peaks = [bag['tool']['translation']['peak'] for bag in found]
    assert peaks[1] == pytest.approx(peaks[0], rel=1e-3)


def test_joints_where_the_model_cannot_be_are_named(tmp_path):
    """Degrees give a jerk 57 times as large, which looks like an arm's that shakes."""
    time = np.arange(1200) * 0.01
    degrees = write_bag(tmp_path / 'degrees', time, np.degrees(motion(time)), NAMES)
    (note, *_) = analysed(tmp_path, str(degrees), '--robot', 'panda')['bags'][0]['notes']
    assert 'its range in the model is [' in note
    assert note.endswith('degrees instead of rad, or another robot?')


def test_a_recording_written_backwards_is_that_motion(tmp_path):
    """Sorted by its stamps, and its moments are told from the earliest one on."""
    time = np.arange(1200) * 0.01
    forwards = write_bag(tmp_path / 'forwards', time, motion(time), NAMES)
    flipped = (time[::-1], motion(time)[::-1], NAMES)
    backwards = write_bag(tmp_path / 'backwards', *flipped, received_s=time)
    found = analysed(tmp_path, str(forwards), str(backwards), '--robot', 'panda')['bags']
    assert found[1]['notes'] == ['1199 samples came out of order: sorted by their stamps']
    assert found[1]['tool'] == found[0]['tool']
    assert found[1]['worst'] == found[0]['worst']


@pytest.mark.parametrize(
    ('time', 'arguments', 'line'),
    [
        (np.arange(20) * 0.01, [], 'has no stretch as long as a window'),
        (np.arange(400) * 0.2, [], 'widen the window'),
        (np.zeros(400), [], 'one and the same stamp'),
        (np.random.default_rng(0).permutation(400) * 0.01, [], 'is in no order'),
        (np.arange(1), [], 'a single sample'),
        (
            np.arange(400) * 0.01,
            ['--robot', 'ur99'],
            "'ur99' is no file and not in config/robots (fr3, panda, ur5e)",
        ),
        (np.arange(400) * 0.01, ['--topic', 'arm'], "JointState on 'arm'"),
        (np.arange(400) * 0.01, ['--urdf', 'none.urdf', '--tool', 'x'], 'does not exist'),
        (np.arange(400) * 0.01, ['--tool', 'x'], 'give --urdf'),
        (np.arange(400) * 0.01, ['--joints', 'a,c'], "no joint 'c'; its joints are a, b"),
        (np.arange(400) * 0.01, ['--joints', 'a,'], 'give names as a,b,c'),
        (np.arange(400) * 0.01, ['--joints', 'a', '--tool', 'x'], 'give --urdf'),
        (np.arange(400) * 0.01, ['--joints', 'a', '--robot', 'panda'], 'without a model'),
        (np.arange(400) * 0.01, ['--json', '/dev/null/x'], 'cannot be written'),
    ],
)
def test_what_cannot_be_analysed_costs_one_line(tmp_path, capsys, time, arguments, line):
    """Exit status 2, one line that says what and where, no traceback."""
    positions = np.sin(np.arange(len(time)))[:, None] * np.ones(2)
    options = {'received_s': np.arange(len(time)) * 0.01}
    bag = write_bag(tmp_path / 'bag', time + 1.0, positions, ['a', 'b'], **options)
    assert main(['analyze', str(bag), '--no-report', *arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert line in error
    assert '\n' not in error


def test_a_joint_without_numbers_takes_no_other_with_it(tmp_path):
    """Without a model, as where a broadcaster fills a wheel's position with NaN: it is left out."""
    time = np.arange(1200) * 0.01
    alone = write_bag(tmp_path / 'alone', time, motion(time), NAMES)
    both = np.column_stack([np.full(1200, np.nan), motion(time)])
    wheel = write_bag(tmp_path / 'wheel', time, both, ['wheel', *NAMES])
    found = analysed(tmp_path, str(alone), str(wheel))['bags']
    assert found[1]['joints'] == found[0]['joints']
    assert found[1]['notes'] == [
        'wheel: no position was a number at first: left out (the setting joints chooses)'
    ]


@pytest.mark.parametrize('arguments', [[], ['--robot', 'panda']])
def test_a_joint_that_is_named_twice_is_refused(tmp_path, capsys, arguments):
    """The first one's figures had stood for both; another joint of the recording may be read."""
    time = np.arange(1200) * 0.01
    twice = np.column_stack([motion(time), np.zeros(1200)])
    bag = write_bag(tmp_path / 'bag', time, twice, [*NAMES, NAMES[0]])
    assert main(['analyze', str(bag), '--no-report', *arguments]) == 2
    assert "has joint 'panda_joint1' 2 times in a message" in capsys.readouterr().err
    assert 'panda_joint2' in analysed(tmp_path, str(bag), '--joints', NAMES[1])['bags'][0]['joints']
