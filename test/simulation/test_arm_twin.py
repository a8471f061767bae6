"""The twin: an arm that follows joint commands in a LIBERO scene."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from twin_world import NAME, advance

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.simulation.scenes.scene_reset import NoPlaceFoundError, SceneReset
from smoothvla_ros.simulation.twin.arm_twin import ArmTwin, SceneLostError
from smoothvla_ros.simulation.twin.trajectory_controller import TrajectoryPoint


@pytest.fixture
def twin(spatial_environment):
    twin = ArmTwin(RenderSettings(size=64), spatial_environment)
    twin.reset(NAME)
    return twin


def test_arm_stands_still_without_commands(twin):
    """Gravity is carried: no drift in half a second."""
    before = twin.state().joint_positions
    advance(twin, 0.5)
    assert np.abs(twin.state().joint_positions - before).max() < 2e-4


def test_arm_tracks_a_smooth_trajectory_like_a_real_one(twin):
    """0.15 rad there and back in a second, all joints at once: never 2 mrad behind."""
    start = twin.state().joint_positions
    times = np.arange(0.02, 1.001, 0.02)
    phase = 2 * np.pi * times[:, None]
    lift = 0.075 * np.ones(7)
    points = [
        TrajectoryPoint(
            t,
            start + lift * (1 - np.cos(p)),
            lift * 2 * np.pi * np.sin(p),
            lift * (2 * np.pi) ** 2 * np.cos(p),
        )
        for t, p in zip(times, phase, strict=True)
    ]
    twin.follow(points)
    worst = 0.0
    for _ in range(500):
        twin.advance()
        worst = max(worst, np.abs(twin.state().joint_positions - twin.commanded_positions()).max())
    assert worst < 2e-3
    assert np.abs(twin.commanded_positions() - start).max() < 1e-3


def test_gripper_closes_at_the_hand_s_speed_and_opens_again(twin):
    """0.04 m take 0.4 s; both fingers count from closed to open."""
    assert twin.state().finger_positions == pytest.approx([0.04, 0.04], abs=2e-3)
    twin.open_gripper(0.0)
    advance(twin, 0.2)
    assert (twin.state().finger_positions > 0.01).all()
    advance(twin, 0.5)
    assert (np.abs(twin.state().finger_positions) < 3e-3).all()
    twin.open_gripper(1.0)
    advance(twin, 0.7)
    assert twin.state().finger_positions == pytest.approx([0.04, 0.04], abs=2e-3)


def test_same_commands_give_the_same_bits(twin):
    """An episode is named by suite, task, init state and seed, and nothing else matters."""

    def play():
        twin.reset(NAME)
        twin.forward(twin.state().joint_positions + 0.02)
        advance(twin, 0.2)
        return twin.environment.data.qpos.copy()

    assert play().tobytes() == play().tobytes()


def test_reset_starts_where_libero_s_controller_would(twin, spatial_environment):
    """The scene is bit for bit the one that the policy is measured on otherwise."""
    after_twin = twin.environment.data.qpos.copy()
    spatial_environment.reset(NAME)
    assert spatial_environment.data.qpos.tobytes() == after_twin.tobytes()


def test_objects_without_a_place_leave_the_arm_where_the_former_episode_began(twin, monkeypatch):
    """The scene that they were to be put into is the one that is simulated."""
    began = twin.state().joint_positions.copy()
    twin.follow([TrajectoryPoint(0.3, began + 0.1)])
    advance(twin, 0.3)
    assert np.abs(twin.state().joint_positions - began).max() > 0.05
    placed = SceneReset.place_fixtures

    def place(self, scene_seed):
        placed(self, scene_seed)
        if scene_seed == 100_002:
            raise NoPlaceFoundError('no place')

    monkeypatch.setattr(SceneReset, 'place_fixtures', place)
    with pytest.raises(SceneLostError, match='the former episode is over'):
        twin.reset(EpisodeName('libero_spatial', 0, 14, 100_002))
    np.testing.assert_allclose(twin.state().joint_positions, began, atol=1e-6)
    advance(twin, 0.5)
    np.testing.assert_allclose(twin.state().joint_positions, began, atol=1e-3)


def test_bad_commands_are_refused(twin):
    """NaN never reaches the arm."""
    for bad in (np.full(7, np.nan), np.zeros(6)):
        with pytest.raises(UserError):
            twin.forward(bad)
    with pytest.raises(UserError, match='ends in the past'):
        twin.follow([TrajectoryPoint(0.1, np.zeros(7))], delay_s=-0.2)
    with pytest.raises(UserError):
        twin.open_gripper(float('nan'))
    with pytest.raises(UserError, match='choose from'):
        twin.reset(EpisodeName('libero_spatial', 0, 77, 0))


def test_state_is_copied_whole(twin):
    """The copy that is drawn does not change with the twin."""
    data = mujoco.MjData(twin.environment.model)
    twin.snapshot(data)
    before = data.qpos.copy()
    assert np.array_equal(before, twin.environment.data.qpos)
    twin.forward(twin.state().joint_positions + 0.1)
    advance(twin, 0.1)
    assert np.array_equal(before, data.qpos)
