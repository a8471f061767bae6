"""Chunks through guard and twin against LIBERO's own controller, in simulated time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import guarded_episode
from benchmarks.guarded_episode import play_guarded
from smoothvla_ros.control.motion_guard.guard import MotionGuard
from smoothvla_ros.control.motion_guard.guard_settings import GuardSettings
from smoothvla_ros.control.motion_guard.osc_reference import OscParameters, OscReference
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import RobotDescription
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin

CONFIG = Path(__file__).parents[2] / 'config'
NAME = EpisodeName('libero_spatial', 0, 4, 100_000)
SETTINGS = GuardSettings()
# In LIBERO's units: along, across, up, and turns, none of which touches anything.
CHUNKS = {
    'along': [0.4, 0.0, 0.0, 0.0, 0.0, 0.0],
    'up and across': [0.0, 0.5, 0.5, 0.0, 0.0, 0.0],
    'a turn on the way': [-0.3, 0.0, 0.4, 0.0, 0.0, 0.3],
}


@pytest.fixture(scope='module')
def environment():
    return Environment(tasks.task('libero_spatial', 0), RenderSettings(size=16, cameras=()))


def make_guard():
    robot = RobotDescription.from_file(CONFIG / 'robots' / 'panda.yaml')
    parameters = OscParameters.from_file(CONFIG / 'action_spaces' / 'libero_osc_pose.yaml')
    space = OscReference.for_robot(parameters, robot, 'comfort', SETTINGS.rate_hz)
    return MotionGuard(SETTINGS, robot.limits('comfort'), space)


def chunk_of(row):
    """Eight steps that swell and fade, with an open gripper."""
    swell = np.sin(np.linspace(0.3, np.pi - 0.3, 8))[:, None]
    return np.hstack([swell * row, -np.ones((8, 1))])


def rest(environment):
    """Let LIBERO's controller come to rest and return the tool's pose."""
    for _ in range(15):
        environment.step(np.array([0.0] * 6 + [-1.0]))
    return environment.tool_pose()


@pytest.mark.parametrize('row', CHUNKS.values(), ids=CHUNKS)
def test_open_loop_chunk_ends_where_libero_s_controller_ends(environment, row):
    """Within 1 cm and 3 degrees, after a motion of several centimetres."""
    actions = chunk_of(np.array(row))
    environment.reset(NAME)
    start, _ = environment.tool_pose()
    for action in actions:
        environment.step(action)
    position, rotation = rest(environment)
    assert np.linalg.norm(position - start) > 0.02

    twin = ArmTwin(environment.render_settings, environment)
    episode = play_guarded(
        twin,
        make_guard(),
        SETTINGS.rate_hz,
        'libero_osc_pose',
        lambda o, i: actions,
        NAME,
        chunks=1,
    )
    assert episode.chunks == 1
    assert not episode.refusals
    for _ in range(500):
        twin.advance()
    ended_position, ended_rotation = environment.tool_pose()
    assert np.linalg.norm(ended_position - position) < 0.01
    cosine = (np.trace(ended_rotation.T @ rotation) - 1.0) / 2.0
    assert np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))) < 3.0
    assert episode.tracking_error_rad < 5e-3


def test_rate_that_the_physics_cannot_keep_is_refused(environment):
    """300 Hz is no whole number of substeps."""
    twin = ArmTwin(environment.render_settings, environment)
    with pytest.raises(UserError, match='choose 250 or 500'):
        play_guarded(twin, make_guard(), 300.0, 'libero_osc_pose', lambda o, i: None, NAME)


def test_a_guard_that_takes_no_chunk_ends_with_the_time(environment, monkeypatch):
    """Every chunk is of an action space that the guard does not know: nothing moves."""
    monkeypatch.setattr(guarded_episode.tasks, 'horizon', lambda suite: 20)
    twin = ArmTwin(environment.render_settings, environment)
    actions = chunk_of(np.zeros(6))
    episode = play_guarded(
        twin, make_guard(), SETTINGS.rate_hz, 'joint_angles', lambda o, i: actions, NAME
    )
    assert (episode.ended, episode.chunks) == ('out of time', 0)
    assert episode.joint_positions.shape == episode.commanded_positions.shape == (0, 7)
    assert sum(episode.refusals.values()) > 0
