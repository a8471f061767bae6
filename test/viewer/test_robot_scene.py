"""What is sent to Rerun of one robot, read back: places, colours, limits, levels at their times."""

from __future__ import annotations

import numpy as np
import pytest
import rerun
from logged import curve, logged

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.kinematics.example_urdf import example_urdf
from smoothvla_ros.viewer.jerk_scene import jerk_colours
from smoothvla_ros.viewer.layout import layout
from smoothvla_ros.viewer.robot_model import RobotModel
from smoothvla_ros.viewer.robot_scene import Reading, RobotScene

REST = np.array([0.0, -0.161, 0.0, -2.445, 0.0, 2.227, 0.785])
START_NS = 1_790_000_000 * 10**9
STEP_NS = 50_000_000
LIMITS = np.array([1500.0, 750.0, 1000.0, 1250.0, 1500.0, 2000.0, 2000.0])
URDF = example_urdf('panda_description/urdf/panda.urdf')


@pytest.fixture
def arm():
    return Arm.panda()


@pytest.fixture
def recorded(tmp_path, arm):
    """A scene that writes to a file, and a function that closes it and returns the file."""
    recording = rerun.RecordingStream('test')
    recording.save(tmp_path / 'scene.rrd')
    scene = RobotScene(recording, 'robot_0', URDF, arm)

    def close():
        recording.disconnect()
        return tmp_path / 'scene.rrd'

    return scene, close


def reading(step: float, jerk: float, level: str = 'ok', **values) -> Reading:
    stamp = START_NS + round(step * STEP_NS)
    given = {'joint_jerk': np.zeros(7), 'warning': 20.0, 'alarm': 50.0, 'limits': LIMITS} | values
    return Reading(
        stamp_ns=stamp, tool_jerk=jerk, newest_tool_jerk=jerk + 1.0, level=level, **given
    )


def posture(step: float) -> np.ndarray:
    return REST + step * 0.05 * np.arange(7)


def test_jerk_is_drawn_where_the_arm_was_then(recorded, arm):
    """An estimate is of half a window ago: between two samples, each point in its own colour."""
    scene, close = recorded
    for step in range(6):
        scene.remember(START_NS + step * STEP_NS, posture(step))
    jerks = [10.0, 30.0, 60.0]
    for step, jerk in zip((1.0, 2.5, 4.0), jerks, strict=True):
        scene.draw(reading(step, jerk))
    path = close()
    _, strips = logged(path, 'robot_0/trail', 'LineStrips3D:strips')[-1]
    places = np.array([strips[0][0], strips[0][1], strips[1][1]])
    wanted = [
        arm.tool_pose(p)[0] for p in (posture(1), 0.5 * (posture(2) + posture(3)), posture(4))
    ]
    np.testing.assert_allclose(places, wanted, atol=1e-6)
    _, colours = logged(path, 'robot_0/trail', 'LineStrips3D:colors')[-1]
    channels = np.array([[(c >> shift) & 255 for shift in (24, 16, 8)] for c in colours])
    np.testing.assert_allclose(channels, 255 * jerk_colours(np.array(jerks[1:]), 50.0), atol=0.5)


def test_curves_stand_beside_their_limits(recorded):
    """Tool jerk with both thresholds, each joint as a share of its limit, when it was."""
    scene, close = recorded
    scene.draw(reading(1, 12.5, joint_jerk=-0.5 * LIMITS))
    scene.draw(reading(2, 13.5, joint_jerk=0.25 * LIMITS))
    path = close()
    stamps = START_NS + STEP_NS * np.array([1, 2])
    np.testing.assert_array_equal(curve(path, 'robot_0/jerk/tool').T, [stamps, [12.5, 13.5]])
    np.testing.assert_array_equal(curve(path, 'robot_0/jerk/warning')[:, 1], 20.0)
    np.testing.assert_array_equal(curve(path, 'robot_0/jerk/alarm')[:, 1], 50.0)
    np.testing.assert_allclose(
        curve(path, 'robot_0/share_of_limit/panda_joint4')[:, 1], [50.0, 25.0]
    )


def test_levels_are_on_the_time_line_where_they_change(recorded):
    """Once a change, with the joint that is nearest to its limit; then nothing, said once."""
    scene, close = recorded
    for step, level in enumerate(['ok', 'ok', 'alarm', 'alarm', 'ok']):
        nervous = np.array([0, 0, 0.9, 0, 0, 0, 0]) * LIMITS
        scene.note_level(reading(step, 55.0, level, joint_jerk=nervous))
    scene.stale(START_NS + 9 * STEP_NS)
    scene.stale(START_NS + 10 * STEP_NS)
    path = close()
    states = logged(path, 'robot_0/level', 'StateChange:state')
    assert [(s - START_NS) // STEP_NS for s, _ in states] == [0, 2, 4, 9]
    assert [v[0] for _, v in states] == ['ok', 'alarm', 'ok', 'stale']
    texts = [v[0] for _, v in logged(path, 'robot_0/events', 'TextLog:text')]
    assert texts[1].endswith('alarm: tool 56 m/s³, panda_joint3 at 90% of its limit')


def test_an_episode_begins_with_no_trail(recorded):
    """What the last one left is not this one's."""
    scene, close = recorded
    for step in range(6):
        scene.remember(START_NS + step * STEP_NS, posture(step))
    for step in (1, 2, 3):
        scene.draw(reading(step, 10.0))
    scene.begin(START_NS + 4 * STEP_NS, 'pick up the bowl')
    scene.draw(reading(4, 10.0))
    path = close()
    assert len(logged(path, 'robot_0/trail', 'LineStrips3D:strips')) == 2
    assert logged(path, 'robot_0/trail', 'Clear:is_recursive')[0][0] == START_NS + 4 * STEP_NS


def test_links_are_moved_and_a_finger_follows_the_other(tmp_path):
    """Joints by name, others ignored; both fingers of the Panda from one."""
    recording = rerun.RecordingStream('test')
    recording.save(tmp_path / 'model.rrd')
    model = RobotModel(recording, URDF, 'robot_0')
    assert model.missing_meshes == ()
    recording.set_time('time', timestamp=np.datetime64(START_NS, 'ns'))
    model.move({'panda_joint1': np.pi / 2, 'panda_finger_joint1': 0.03, 'other': 1.0})
    recording.disconnect()
    path = tmp_path / 'model.rrd'

    def of(joint: str, component: str):
        return logged(path, f'robot_0/joints/{joint}', f'Transform3D:{component}')

    ((_, turned),) = of('panda_joint1', 'quaternion')
    np.testing.assert_allclose(turned[0], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-6)
    for finger in ('panda_finger_joint1', 'panda_finger_joint2'):
        ((_, moved),) = of(finger, 'translation')
        assert np.linalg.norm(moved[0]) == pytest.approx(np.hypot(0.03, 0.0584), abs=1e-3)
    assert of('panda_joint2', 'quaternion') == []


def test_a_mesh_that_is_not_there_is_left_out(tmp_path):
    """The rest of the arm is shown."""
    urdf = tmp_path / 'arm.urdf'
    urdf.write_text(
        '<robot name="arm"><link name="base"><visual><geometry>'
        '<mesh filename="package://nowhere/base.stl"/></geometry></visual></link></robot>'
    )
    model = RobotModel(rerun.RecordingStream('test'), urdf, 'robot_0')
    assert model.missing_meshes == ('package://nowhere/base.stl',)
    with pytest.raises(UserError, match=r'URDF .*nothing\.urdf cannot be read'):
        RobotModel(rerun.RecordingStream('test'), tmp_path / 'nothing.urdf', 'robot_0')


def test_the_layout_shows_every_robot_and_camera():
    """A tab a robot, and no view for cameras that nobody has."""
    two = layout({'robot_0': 'robot_0/base', 'robot_1': 'robot_1/base'}, ('agentview',))
    assert [c.name for c in two.root_container.contents] == ['robot_0', 'robot_1']
    one = layout({'robot_0': 'robot_0/base'}, ())
    assert one.root_container.name == 'robot_0'
