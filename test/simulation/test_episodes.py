"""The same name is the same episode, whatever ran before it."""

from dataclasses import replace

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.scenes.compiled_scene import SceneLibrary
from smoothvla_ros.simulation.scenes.scene_reset import SceneReset

NAME = EpisodeName('libero_spatial', 0, init_state=7, scene_seed=11)
OTHER = EpisodeName('libero_spatial', 0, init_state=8, scene_seed=12)


def run(environment: Environment, name, actions):
    """Run an episode and return all that it leaves behind."""
    environment.reset(name)
    before = environment.observe()
    for action in actions:
        environment.step(action)
    return before, environment.observe(), environment.trajectory()


def assert_same_episode(one, other):
    """Compare two runs to the bit, images included."""
    for observation, again in zip(one[:2], other[:2], strict=True):
        for camera in observation.images:
            np.testing.assert_array_equal(observation.images[camera], again.images[camera])
        np.testing.assert_array_equal(observation.gripper_positions, again.gripper_positions)
    for field in ('actions', 'joint_positions', 'joint_velocities', 'substep_joint_positions'):
        np.testing.assert_array_equal(getattr(one[2], field), getattr(other[2], field))


def test_a_repeated_name_is_the_same_episode_after_another_one(
    spatial_environment, pushing_actions
):
    """Pins that nothing leaks: gripper command, controller goal, warm start, fixtures, counters."""
    actions = pushing_actions(12)
    first = run(spatial_environment, NAME, actions)
    other = run(spatial_environment, OTHER, np.ones((15, 7)))
    assert not np.array_equal(first[2].joint_positions[0], other[2].joint_positions[0])
    assert_same_episode(first, run(spatial_environment, NAME, actions))


def test_an_episode_that_begins_again_does_not_settle_again_and_is_the_same(
    spatial_environment, pushing_actions, monkeypatch
):
    """Pins the kept start to the bit, also when another task of the same scene ran in between."""
    actions = pushing_actions(12)
    library = SceneLibrary()
    settings = spatial_environment.render_settings
    environment = Environment(spatial_environment.task, settings, library)
    neighbour = Environment(tasks.task('libero_spatial', 1), settings, library)
    assert environment.model is neighbour.model
    first = run(environment, NAME, actions)
    run(neighbour, replace(OTHER, task=1), np.ones((5, 7)))
    with monkeypatch.context() as no_settling:
        no_settling.delattr(SceneReset, 'place_fixtures')
        assert_same_episode(first, run(environment, NAME, actions))
        assert_same_episode(first, run(environment, NAME, actions))
        with pytest.raises(AttributeError):
            environment.reset(OTHER)
    assert_same_episode(first, run(environment, NAME, actions))


def test_an_episode_that_begins_again_aims_at_the_rotation_of_its_start(
    spatial_environment, pushing_actions
):
    """Pins what actions that do not turn leave alone: the rotation that the episode before left."""
    straight = pushing_actions(12)
    straight[:, 3:6] = 0.0
    spatial_environment.reset(OTHER)
    first = run(spatial_environment, NAME, straight)
    run(spatial_environment, NAME, np.ones((6, 7)))
    assert_same_episode(first, run(spatial_environment, NAME, straight))


def test_scene_seeds_move_the_fixtures_and_nothing_else_at_the_start(spatial_environment):
    """Pins that two seeds of one init state differ in fixture poses, not in the arm's start."""
    spatial_environment.reset(NAME)
    one = spatial_environment.model.body_pos.copy()
    arm = spatial_environment.joint_positions()
    spatial_environment.reset(EpisodeName('libero_spatial', 0, NAME.init_state, 13))
    moved = np.flatnonzero((spatial_environment.model.body_pos != one).any(axis=1))
    assert len(moved) >= 2
    assert np.abs(spatial_environment.model.body_pos - one).max() < 0.1
    np.testing.assert_allclose(spatial_environment.joint_positions(), arm, atol=1e-3)


def test_a_reset_leaves_the_global_random_state_alone(spatial_environment):
    """Pins that a caller's own random numbers do not depend on which episodes it ran."""
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random(4)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    spatial_environment.reset(NAME)
    np.testing.assert_array_equal(np.random.random(4), expected)  # noqa: NPY002


def test_a_scene_whose_objects_find_no_place_is_an_error_and_no_endless_loop(
    spatial_environment, monkeypatch
):
    """Every object drawn at the same spot: named in one line; the environment can be used on."""
    spatial_environment.reset(OTHER)
    samplers = spatial_environment.libero.placement_initializer.samplers.values()
    with monkeypatch.context() as everything_at_one_spot:
        for sampler in samplers:
            everything_at_one_spot.setattr(sampler, 'x_ranges', [(0.0, 0.0)])
            everything_at_one_spot.setattr(sampler, 'y_ranges', [(0.0, 0.0)])
            everything_at_one_spot.setattr(sampler, 'ensure_object_boundary_in_range', False)
        with pytest.raises(UserError, match=r'^scene_seed=11: .*black_bowl.*another scene seed$'):
            spatial_environment.reset(NAME)
    spatial_environment.reset(NAME)
    assert spatial_environment.trajectory().steps == 0


def test_the_trajectory_has_a_row_for_the_start_and_one_a_step(
    spatial_environment, pushing_actions
):
    """Pins shapes, rates, and that substeps, steps and tool poses tell of the same motion."""
    steps = 9
    _, last, trajectory = run(spatial_environment, NAME, pushing_actions(steps))
    assert trajectory.steps == steps
    assert trajectory.joint_positions.shape == (steps + 1, 7)
    assert trajectory.tool_positions.shape == (steps + 1, 3)
    assert trajectory.substep_joint_positions.shape == (steps * 25 + 1, 7)
    assert (trajectory.control_period_s, trajectory.substep_period_s) == (0.05, 0.002)
    np.testing.assert_array_equal(
        trajectory.substep_joint_positions[::25], trajectory.joint_positions.astype(np.float32)
    )
    np.testing.assert_array_equal(trajectory.joint_positions[-1], last.joint_positions)
    position, rotation = spatial_environment.tool_pose()
    np.testing.assert_array_equal(trajectory.tool_positions[-1], position)
    np.testing.assert_array_equal(trajectory.tool_rotations[-1], rotation)


def test_the_tool_pose_is_that_of_the_arms_kinematics(spatial_environment, pushing_actions):
    """Pins frame, tool point and axes against the URDF: within 0.1 mm and 1 mrad."""
    kinematics = pytest.importorskip('smoothvla_ros.kinematics.arm')
    arm = kinematics.Arm.panda()
    run(spatial_environment, NAME, pushing_actions(9))
    position, rotation = arm.tool_pose(spatial_environment.joint_positions())
    own_position, own_rotation = spatial_environment.tool_pose()
    np.testing.assert_allclose(own_position, position, atol=1e-4)
    np.testing.assert_allclose(own_rotation, rotation, atol=1e-3)


@pytest.mark.parametrize(
    'action',
    [np.full(7, np.nan), np.array([0, 0, np.inf, 0, 0, 0, 0]), np.zeros(6), np.zeros((1, 7))],
)
def test_an_action_that_is_no_action_is_refused_and_not_executed(spatial_environment, action):
    """Pins that NaN, infinity and wrong shapes never reach the physics."""
    spatial_environment.reset(NAME)
    before = spatial_environment.data.qpos.copy()
    with pytest.raises(UserError, match='action'):
        spatial_environment.step(action)
    np.testing.assert_array_equal(spatial_environment.data.qpos, before)
    assert spatial_environment.trajectory().steps == 0


@pytest.mark.parametrize(
    'name',
    [
        EpisodeName('libero_goal', 0, 0, 0),
        EpisodeName('libero_spatial', 1, 0, 0),
        EpisodeName('libero_spatial', 0, 50, 0),
        EpisodeName('libero_spatial', 0, 0, -1),
    ],
)
def test_a_name_that_is_not_of_this_task_is_a_user_error(spatial_environment, name):
    """Pins that suite, task, init state and seed are all checked."""
    with pytest.raises(UserError):
        spatial_environment.reset(name)
