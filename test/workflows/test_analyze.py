"""`smoothvla analyze` from a bag to its figures, against motions that are known."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from bags import write_bag
from known_motion import NAMES, analysed, motion
from rosbags.rosbag2 import StoragePlugin

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
