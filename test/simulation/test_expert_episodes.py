"""Whole episodes of the expert in the simulator."""

import numpy as np
import pytest

from smoothvla_ros.errors import UserError
from smoothvla_ros.records import EpisodeName
from smoothvla_ros.simulation import splits, tasks
from smoothvla_ros.simulation.environment import Environment
from smoothvla_ros.simulation.expert.motion import LIMITS
from smoothvla_ros.simulation.expert.noise import ActionNoise, NoiseSettings
from smoothvla_ros.simulation.expert.recording import record
from smoothvla_ros.simulation.rendering.settings import RenderSettings

CLEAN = ActionNoise(NoiseSettings(scale=0.0), [0])


def _name(suite, task, index=0):
    return splits.episode_names(suite, task, splits.Split.TRAIN, index + 1, 1)[index]


@pytest.mark.parametrize(
    ('suite', 'task', 'most_steps'),
    [
        ('libero_object', 1, 140),  # a box beside a tall neighbour, into a basket
        ('libero_goal', 0, 140),  # a drawer
        ('libero_goal', 5, 140),  # a plate, carried to a region of the table
        ('libero_goal', 7, 140),  # a knob
    ],
)
def test_each_skill_reaches_its_goal(suite, task, most_steps):
    """One clean episode of each kind of task is solved, and in good time."""
    environment = Environment(tasks.task(suite, task), RenderSettings(size=64))
    episode = record(environment, _name(suite, task), CLEAN)
    assert episode.success
    assert episode.steps < most_steps


def test_a_clean_episode_is_smooth_and_its_labels_are_what_ran(spatial_environment):
    """Labels equal executed actions; they start from rest and change by at most the slew limit."""
    episode = record(spatial_environment, _name('libero_spatial', 0), CLEAN)
    assert episode.success
    assert episode.clean
    commands = np.concatenate([np.zeros((1, 7)), episode.actions])
    change = np.diff(commands, axis=0)
    assert np.linalg.norm(change[:, :2], axis=1).max() <= LIMITS.slew + 1e-6
    assert np.abs(change[:, 2]).max() <= LIMITS.slew + 1e-6
    assert set(np.unique(episode.actions[:, 6])) == {-1.0, 1.0}


def test_a_disturbed_episode_is_corrected_and_keeps_clean_labels(spatial_environment):
    """Noise is executed, labels stay slew limited, the goal is reached all the same."""
    noise = ActionNoise(NoiseSettings(scale=0.2, clean_share=0.0), [5])
    episode = record(spatial_environment, _name('libero_spatial', 0, 1), noise)
    assert episode.success
    assert np.abs(episode.actions - episode.executed_actions)[:, :3].mean() > 0.03
    change = np.diff(episode.actions[:, :2], axis=0)
    assert np.linalg.norm(change, axis=1).max() <= LIMITS.slew + 1e-6


def test_privileged_labels_are_in_the_base_frame(spatial_environment):
    """The object's label is where the simulator has it; the way ends at object, then at target."""
    name = _name('libero_spatial', 0)
    spatial_environment.reset(name)
    base, rotation = spatial_environment.base_pose()
    bowl = spatial_environment.data.body('akita_black_bowl_1_main').xpos.copy()
    episode = record(spatial_environment, name, CLEAN)
    np.testing.assert_allclose(episode.object_position[0], rotation.T @ (bowl - base), atol=2e-3)
    assert np.linalg.norm(episode.waypoint[0] - episode.object_position[0]) < 0.08
    final = episode.object_position[-1] - episode.target_position[-1]
    assert np.linalg.norm(final[:2]) < 0.03


def test_an_episode_is_recorded_alike_whatever_ran_before(spatial_environment):
    """The expert carries nothing from one episode to the next: the same name, the same actions."""
    first = record(spatial_environment, _name('libero_spatial', 0, 2), CLEAN)
    record(spatial_environment, _name('libero_spatial', 0, 3), CLEAN)
    again = record(spatial_environment, _name('libero_spatial', 0, 2), CLEAN)
    np.testing.assert_array_equal(first.actions, again.actions)


def test_a_goal_that_no_skill_reaches_is_a_user_error():
    """A microwave's door is nothing the expert knows: it says so instead of flailing."""
    environment = Environment(tasks.task('libero_10', 9), RenderSettings(size=64))
    with pytest.raises(UserError, match='close microwave_1'):
        record(environment, _name('libero_10', 9), CLEAN)


def test_held_out_episodes_are_refused(spatial_environment):
    """Nothing can be demonstrated from a held-out init state or scene seed."""
    held_out = splits.episode_names('libero_spatial', 0, splits.Split.HELD_OUT, 1, 0)[0]
    with pytest.raises(UserError, match='held out'):
        record(spatial_environment, held_out, CLEAN)
    with pytest.raises(UserError, match='scene seed'):
        record(spatial_environment, EpisodeName('libero_spatial', 0, 0, held_out.scene_seed), CLEAN)
