"""`smoothvla analyze` from a bag to its figures, against motions that are known."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from bags import write_bag, write_messages
from rosbags.rosbag2 import StoragePlugin

from smoothvla_ros.cli import main
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.example_urdf import example_urdf
from smoothvla_ros.smoothness import (
    EstimatorSettings,
    Part,
    mean_jerk,
    peak_jerk,
    rms_jerk,
    tool_jerk,
)

NAMES = [f'panda_joint{i}' for i in range(1, 8)]
HOME = np.array([0.0, -0.3, 0.1, -2.0, 0.0, 2.0, 0.7])


def reaches(time: np.ndarray, starts: list[float], lasts_s: float = 2.0) -> np.ndarray:
    """Minimum-jerk reaches to and fro, at rest in between: [T] in [0, 1]."""
    place = np.zeros_like(time)
    for index, start in enumerate(starts):
        share = np.clip((time - start) / lasts_s, 0.0, 1.0)
        place += (-1) ** index * share**3 * (10 - 15 * share + 6 * share**2)
    return place


def motion(time: np.ndarray, shake: float = 0.0) -> np.ndarray:
    """A reach of seven joints every 4 s, and a shaking at 3 Hz while they last."""
    place = reaches(time, list(np.arange(1.0, time[-1] - 2.0, 4.0)))
    moving = 16 * place**2 * (1 - place) ** 2
    shaken = place + shake * moving * np.sin(2 * np.pi * 3 * time)
    return HOME + 0.4 * np.linspace(0.5, 1.0, 7) * shaken[:, None]


def analysed(tmp_path: Path, *arguments: str) -> dict:
    """Run the command and return what it wrote as JSON."""
    out = tmp_path / 'out.json'
    if '--report' not in arguments:
        arguments = (*arguments, '--no-report')
    assert main(['analyze', *arguments, '--json', str(out)]) == 0
    return json.loads(out.read_text())


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_figures_are_those_of_the_reward(tmp_path, plugin):
    """Mean, RMS and peak of the tool equal `tool_jerk` of the same samples, joints in any order."""
    time = np.arange(1200) * 0.01
    positions = np.round(motion(time, 0.05) / 1e-5) * 1e-5
    mixed = ['finger', *reversed(NAMES)]
    stored = np.column_stack([np.zeros(len(time)), positions[:, ::-1]])
    bag = write_bag(tmp_path / 'bag', time, stored, mixed, plugin=plugin)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    expected = tool_jerk(positions, Arm.panda().jacobian, 0.01, EstimatorSettings(rate_hz=100.0))
    for part, name in ((Part.TRANSLATION, 'translation'), (Part.ROTATION, 'rotation')):
        figures = found['tool'][name]
        assert figures['mean'] == pytest.approx(mean_jerk(expected, part), rel=1e-6)
        assert figures['rms'] == pytest.approx(rms_jerk(expected, part), rel=1e-6)
        assert figures['peak'] == pytest.approx(peak_jerk(expected, part), rel=1e-6)
    assert list(found['joints']) == NAMES
    assert found['rate_hz'] == 100.0
    assert found['window_s'] == 0.3
    assert found['duration_s'] == pytest.approx(11.99)


def test_joints_alone_against_the_closed_form(tmp_path):
    """A sine's jerk is known: mean, RMS, peak to 1%, also with jitter; no tool without a URDF."""
    rng = np.random.default_rng(1)
    time = np.arange(4000) * 0.01 + rng.uniform(-1e-3, 1e-3, 4000)
    rate = 2 * math.pi * 0.25
    positions = 0.5 * np.sin(rate * time)[:, None] * [1.0, 0.5]
    bag = write_bag(tmp_path / 'bag', time, positions, ['shoulder', 'elbow'])
    (found,) = analysed(tmp_path, str(bag))['bags']
    assert found['tool'] is None
    for name, amplitude in (('shoulder', 0.5), ('elbow', 0.25)):
        peak = amplitude * rate**3
        assert found['joints'][name]['peak'] == pytest.approx(peak, rel=0.01)
        assert found['joints'][name]['rms'] == pytest.approx(peak / math.sqrt(2), rel=0.01)
        assert found['joints'][name]['mean'] == pytest.approx(peak * 2 / math.pi, rel=0.01)


@pytest.mark.parametrize('measured', [False, True])
def test_a_joint_that_passes_the_seam_of_its_turn(tmp_path, measured):
    """Reported in [-pi, pi), with and without velocities: the jerk of the motion, and a note."""
    time = np.arange(3000) * 0.01
    rate = 2 * math.pi * 0.2
    angle = math.pi + 0.8 * np.cos(rate * time)
    reported = (angle + math.pi) % (2 * math.pi) - math.pi
    positions = np.round(np.column_stack([reported, angle]) / 1e-5) * 1e-5
    speeds = np.repeat(-0.8 * rate * np.sin(rate * time)[:, None], 2, axis=1)
    speeds = speeds if measured else None
    bag = write_bag(tmp_path / 'bag', time, positions, ['wrist', 'elbow'], speeds)
    (found,) = analysed(tmp_path, str(bag))['bags']
    assert found['joints']['wrist']['peak'] == pytest.approx(0.8 * rate**3, rel=0.01)
    assert found['joints']['wrist'] == pytest.approx(found['joints']['elbow'], rel=0.01)
    assert found['notes'] == ['joint wrist wraps at 2 pi 12 times; unwrapped']
    assert measured == found['velocities'].startswith('used')
    if measured:
        (alone,) = analysed(tmp_path, str(bag), '--joints', 'elbow')['bags']
        weights = [float(each['velocities'].split()[-2]) for each in (found, alone)]
        assert weights[0] == pytest.approx(weights[1], rel=0.5)


def test_movements_between_rests_are_segments_with_their_shape(tmp_path):
    """Three reaches of 2 s; the shape of a minimum-jerk reach is known."""
    time = np.arange(2400) * 0.005
    bag = write_bag(tmp_path / 'bag', time, motion(time), NAMES)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    segments = found['segments']
    assert [round(s['start_s']) for s in segments] == [1, 5, 9]
    assert [round(s['end_s']) for s in segments] == [3, 7, 11]
    for segment in segments:
        assert segment['duration_s'] == pytest.approx(2.0, abs=0.25)
        assert segment['ldlj'] == pytest.approx(-5.3, abs=0.5)
        assert segment['sparc'] == pytest.approx(-1.4, abs=0.05)
    assert found['ldlj'] == pytest.approx(np.mean([s['ldlj'] for s in segments]))


def test_two_recordings_side_by_side(tmp_path, capsys):
    """The rougher one is found rougher, pair by pair, with an interval that excludes zero."""
    time = np.arange(2000) * 0.01
    smooth = write_bag(tmp_path / 'smooth', time, motion(time), NAMES)
    rough = write_bag(tmp_path / 'rough', time, motion(time, 0.05), NAMES)
    found = analysed(tmp_path, str(smooth), str(rough), '--robot', 'panda')
    assert [bag['path'] for bag in found['bags']] == [str(smooth), str(rough)]
    (comparison,) = found['comparisons']
    assert comparison['pairs'] == 5
    tool = comparison['paired_change_percent']['tool']
    assert 0 < tool['low'] <= tool['mean'] <= tool['high']
    printed = capsys.readouterr().out
    assert 'paired over 5 segments' in printed
    assert 'somewhat narrow' in printed


def test_four_segments_have_no_interval(tmp_path, capsys):
    """They are not paired, and it is said how many would be."""
    time = np.arange(1600) * 0.01
    smooth = write_bag(tmp_path / 'smooth', time, motion(time), NAMES)
    rough = write_bag(tmp_path / 'rough', time, motion(time, 0.05), NAMES)
    (comparison,) = analysed(tmp_path, str(smooth), str(rough), '--robot', 'panda')['comparisons']
    assert (comparison['pairs'], comparison['paired_change_percent']) == (0, {})
    assert '4 segments are too few to pair, 5 are needed' in capsys.readouterr().out


def test_recordings_without_a_joint_in_common_are_not_paired(tmp_path, capsys):
    """Nothing is compared, and it is said why instead of pairs being claimed."""
    time = np.arange(1200) * 0.01
    one = write_bag(tmp_path / 'one', time, motion(time), NAMES)
    other = write_bag(tmp_path / 'other', time, motion(time), [f'other_{n}' for n in NAMES])
    (comparison,) = analysed(tmp_path, str(one), str(other))['comparisons']
    assert comparison['pairs'] == 0
    assert comparison['why'] == 'they have no joint in common'
    assert 'they have no joint in common' in capsys.readouterr().out


def test_page_is_whole_and_loads_nothing(tmp_path):
    """Pictures inside, figures of both bags, nothing from the network, no script."""
    time = np.arange(1200) * 0.01
    bags = [
        str(write_bag(tmp_path / name, time, motion(time, shake), NAMES))
        for name, shake in (('smooth', 0.0), ('rough', 0.05))
    ]
    page = str(tmp_path / 'report.html')
    analysed(tmp_path, *bags, '--robot', 'panda', '--limits', 'comfort', '--report', page)
    text = (tmp_path / 'report.html').read_text()
    assert text.count('data:image/png;base64,') == 4
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert '<script' not in text
    assert 'comfort limits of panda' in text
    assert 'nan' not in re.sub(r'base64,[^"]*', '', text).lower()


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
            "'ur99' is no file and not in config/robots (fr3, panda)",
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


def test_velocities_are_used_where_they_agree_and_never_where_they_lie(tmp_path):
    """A coarse encoder with good velocities; and a driver that publishes zeros."""
    time = np.arange(3000) * 0.01
    rate, step = 2 * math.pi * 0.25, 2 * math.pi / 4096
    positions = np.round(np.sin(rate * time) / step)[:, None] * step
    speeds = rate * np.cos(rate * time)[:, None]
    good = write_bag(tmp_path / 'good', time, positions, ['a'], speeds)
    zero = write_bag(tmp_path / 'zero', time, positions, ['a'], speeds * 0)
    bare = write_bag(tmp_path / 'bare', time, positions, ['a'])
    found = analysed(tmp_path, str(good), str(zero), str(bare))['bags']
    errors = [abs(bag['joints']['a']['rms'] / (rate**3 / math.sqrt(2)) - 1) for bag in found]
    assert errors[0] < 0.02 < errors[1] == errors[2]
    assert 'differ from the positions' in found[1]['velocities']
    assert found[2]['velocities'] == 'none recorded'


def test_a_urdf_of_any_robot(tmp_path):
    """The arm's joints are found by name; its tool by the link that is asked for."""
    time = np.arange(1200) * 0.01
    bag = write_bag(tmp_path / 'bag', time, motion(time), NAMES)
    urdf = str(example_urdf('panda_description/urdf/panda.urdf'))
    (found,) = analysed(tmp_path, str(bag), '--urdf', urdf, '--tool', 'panda_link8')['bags']
    assert found['tool']['translation']['peak'] > 0.5


def test_joints_are_chosen_by_name_without_a_model(tmp_path):
    """Wheels that share the topic and a stamp are left out, in the order that was asked for."""
    time = np.arange(1200) * 0.01
    positions = np.column_stack([20.0 * time, motion(time)[:, :2]])
    bag = write_bag(tmp_path / 'bag', time, positions, ['wheel', 'shoulder', 'elbow'])
    (found,) = analysed(tmp_path, str(bag), '--joints', 'elbow, shoulder')['bags']
    (whole,) = analysed(tmp_path, str(bag))['bags']
    assert list(found['joints']) == ['elbow', 'shoulder']
    assert list(whole['joints']) == ['wheel', 'shoulder', 'elbow']
    assert found['joints']['elbow'] == whole['joints']['elbow']
    assert len(found['segments']) == 3 != len(whole['segments'])


def test_joints_of_several_publishers(tmp_path, capsys):
    """An arm that speaks long after a gripper is found; joints that never come together are not."""
    finger = [(0.01 * i, ['finger'], np.zeros(1)) for i in range(9000)]
    time = 90.0 + np.arange(400) * 0.01
    moving = motion(time - 90.0)[:, :2]
    arm = [(t, ['shoulder', 'elbow'], p) for t, p in zip(time.tolist(), moving, strict=True)]
    bag = str(write_messages(tmp_path / 'bag', [*finger, *arm]))
    (found,) = analysed(tmp_path, bag, '--joints', 'elbow')['bags']
    assert list(found['joints']) == ['elbow']
    assert found['samples'] == 400
    assert found['notes'] == ['9000 messages have other joints than elbow: ignored']
    assert main(['analyze', bag, '--joints', 'elbow,finger', '--no-report']) == 2
    assert 'they come from several publishers' in capsys.readouterr().err


def in_orders(time: np.ndarray, taken: np.ndarray) -> list[tuple[float, list[str], np.ndarray]]:
    """Return the messages of one driver that names its joints in order taken[i] in message i."""
    orders = np.random.default_rng(0).permuted(np.tile(np.arange(7), (5, 1)), axis=1)
    return [
        (t, [NAMES[k] for k in order], row[order])
        for t, row, order in zip(time.tolist(), motion(time), orders[taken], strict=True)
    ]


@pytest.mark.parametrize(
    'shares',
    [(0.5, 0.5), (0.2, 0.2, 0.2, 0.2, 0.2), (0.95, 0.05), (0.7, 0.3)],
    ids=['two', 'five', 'one of them seldom', 'one of them less often'],
)
def test_joints_in_an_order_that_changes_at_random(tmp_path, shares):
    """One driver whose names come in several orders, each in the gaps of the others, is read whole.

    With an order that is regular but for where the other one stands, too.
    """
    time = np.arange(1200) * 0.01
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    taken = np.random.default_rng(0).choice(len(shares), len(time), p=shares)
    mixed = write_messages(tmp_path / 'mixed', in_orders(time, taken))
    found = analysed(tmp_path, str(plain), str(mixed), '--robot', 'panda')['bags']
    for key in ('rate_hz', 'samples', 'notes', 'tool', 'segments', 'worst'):
        assert found[1][key] == found[0][key]


def test_orders_of_one_driver_count_together_against_a_second_publisher(tmp_path):
    """A relay that says more than each order of the driver, but less than the driver, is left out.

    The driver's samples all count.
    """
    time, other = np.arange(1200) * 0.01, 0.0037 + np.arange(720) / 60
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    fingers = [
        (t, [*NAMES, 'finger'], np.append(row, 0.0))
        for t, row in zip(other.tolist(), motion(other - 0.02), strict=True)
    ]
    messages = [*in_orders(time, np.random.default_rng(0).choice(2, len(time))), *fingers]
    both = write_messages(tmp_path / 'both', sorted(messages, key=lambda message: message[0]))
    found = analysed(tmp_path, str(plain), str(both), '--robot', 'panda')['bags']
    assert found[1]['samples'] == 1200
    assert found[1]['tool'] == found[0]['tool']
    assert found[1]['notes'][0].startswith('720 messages are of another publisher')


def test_two_orders_in_turns_are_read_as_two_publishers(tmp_path):
    """Nothing tells one driver from two of half its rate: one order counts, with a note."""
    time = np.arange(1200) * 0.01
    half = write_bag(tmp_path / 'half', time[::2], motion(time)[::2], NAMES)
    turns = write_messages(tmp_path / 'turns', in_orders(time, np.arange(1200) % 2))
    found = analysed(tmp_path, str(half), str(turns), '--robot', 'panda')['bags']
    assert found[1]['rate_hz'] == 50.0
    assert found[1]['notes'][-1].startswith('600 messages are of another publisher')
    assert found[1]['tool'] == found[0]['tool']


def test_a_driver_that_starts_again_with_another_order(tmp_path):
    """What follows the pause is the same arm, also where only a few messages follow."""
    time = np.r_[np.arange(1000), np.arange(1100, 1140)] * 0.01
    messages = [
        (t, NAMES if t < 10.5 else NAMES[::-1], row if t < 10.5 else row[::-1])
        for t, row in zip(time.tolist(), motion(time), strict=True)
    ]
    bag = write_messages(tmp_path / 'bag', messages)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    assert found['samples'] == 1040
    assert [note.split()[1] for note in found['notes']] == ['gaps', 'samples']


def test_a_driver_that_starts_again_and_again(tmp_path):
    """Orders that come back after others had their stretch are one arm's."""
    time = np.arange(1200) * 0.01
    messages = in_orders(time, np.repeat([0, 1, 0, 2, 1, 0], 200))
    bag = write_messages(tmp_path / 'bag', messages)
    (found,) = analysed(tmp_path, str(bag), '--robot', 'panda')['bags']
    assert (found['samples'], found['notes']) == (1200, [])


@pytest.mark.parametrize(
    ('rate_hz', 'other_hz', 'later_s', 'jitter_s'),
    [
        (100, 100, 0.001, 0.0),
        (100, 100, 0.003, 0.0),
        (100, 100, 0.004, 0.0),
        (100, 100, 0.005, 0.0),
        (100, 100, 0.006, 0.0),
        (100, 100, 0.001, 2e-4),
        (500, 500, 0.0006, 0.0),
        (100, 50, 0.005, 0.0),
        (100, 80, 0.0037, 0.0),
        (100, 99.9, 0.0037, 0.0),
    ],
)
def test_two_publishers_of_about_one_rate_are_not_merged(
    tmp_path, rate_hz, other_hz, later_s, jitter_s
):
    """Whatever the time between them: the figures are those of the arm alone, and a note."""
    time, other = np.arange(0.0, 12.0, 1 / rate_hz), np.arange(0.0, 12.0, 1 / other_hz)
    jitter = np.abs(np.random.default_rng(1).normal(0.0, jitter_s, len(other)))
    plain = write_bag(tmp_path / 'plain', time, motion(time)[:, :2], ['j1', 'j2'])
    rows = np.column_stack([motion(other)[:, :2], np.full(len(other), 0.04)])
    stamps = (other + later_s + jitter).tolist()
    messages = [
        *zip(time.tolist(), [['j1', 'j2']] * len(time), motion(time)[:, :2], strict=True),
        *zip(stamps, [['j1', 'j2', 'finger']] * len(other), rows, strict=True),
    ]
    both = write_messages(tmp_path / 'both', sorted(messages, key=lambda message: message[0]))
    found = analysed(tmp_path, str(plain), str(both), '--joints', 'j1,j2')['bags']
    assert found[1]['rate_hz'] == rate_hz
    assert found[1]['samples'] == len(time)
    for name in ('j1', 'j2'):
        assert found[1]['joints'][name] == pytest.approx(found[0]['joints'][name], rel=1e-9)
    assert found[1]['notes'] == [
        f'{len(other)} messages are of another publisher of the same joints, at times of its '
        'own: ignored'
    ]


@pytest.mark.parametrize(
    ('rate_hz', 'behind_s', 'late_s'),
    [(30.0, 0.0, 0.0), (100.0, 0.0, 0.004), (80.0, 0.05, 0.0), (80.0, -50.0, 0.0)],
    ids=['a relay that stamps anew', 'the same stamps', 'another clock', 'far another clock'],
)
def test_a_second_publisher_of_the_same_joints_is_left_out(tmp_path, rate_hz, behind_s, late_s):
    """An arm, and an arm with its finger, both on the topic: the one that says more counts."""
    time = np.arange(5000) * 0.01
    plain = write_bag(tmp_path / 'plain', time, motion(time), NAMES)
    other = np.arange(0.0 if late_s else 0.0037, 45.0, 1 / rate_hz)
    behind = motion(other - 0.02)
    arm = [(t, t, NAMES, row) for t, row in zip(time.tolist(), motion(time), strict=True)]
    fingers = [
        (t + late_s, t - behind_s, [*NAMES, 'finger'], np.append(row, 0.0))
        for t, row in zip(other.tolist(), behind, strict=True)
    ]
    mixed = sorted([*arm, *fingers], key=lambda message: message[0])
    messages = [message[1:] for message in mixed]
    received = np.array([message[0] for message in mixed])
    both = write_messages(tmp_path / 'both', messages, received)
    found = analysed(tmp_path, str(plain), str(both), '--robot', 'panda')['bags']
    for part in ('translation', 'rotation'):
        assert found[1]['tool'][part] == pytest.approx(found[0]['tool'][part], rel=1e-6)
    assert found[1]['samples'] == 5000
    assert found[1]['notes'] == [
        f'{len(fingers)} messages are of another publisher of the same joints, at times of its '
        'own: ignored'
    ]


def test_jerk_of_a_joint_that_slides_is_in_metres(tmp_path, capsys):
    """In the table of one recording, of two side by side, and on the page."""
    urdf = tmp_path / 'crane.urdf'
    urdf.write_text(
        """<robot name="crane"><link name="base"/><link name="mast"/><link name="hook"/>
        <joint name="lift" type="prismatic"><parent link="base"/><child link="mast"/>
        <axis xyz="0 0 1"/><limit lower="0" upper="2" effort="1" velocity="1"/></joint>
        <joint name="turn" type="revolute"><parent link="mast"/><child link="hook"/>
        <axis xyz="0 1 0"/><limit lower="-2" upper="2" effort="1" velocity="1"/></joint></robot>"""
    )
    time = np.arange(1200) * 0.01
    positions = motion(time)[:, :2]
    bags = [str(write_bag(tmp_path / name, time, positions, ['lift', 'turn'])) for name in 'ab']
    report = tmp_path / 'page.html'
    analysed(tmp_path, *bags, '--urdf', str(urdf), '--tool', 'hook', '--report', str(report))
    said = capsys.readouterr().out
    assert said.count('lift  m/s^3') == said.count('turn  rad/s^3') == 3
    page = report.read_text()
    assert re.findall(r'(lift|turn) <span class="unit">([^<]*)</span>', page)[:2] == [
        ('lift', 'm/s³'),
        ('turn', 'rad/s³'),
    ]
