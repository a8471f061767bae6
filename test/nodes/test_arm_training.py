"""One update from recordings of an arm: what holds the policy, and what it is measured with."""

from __future__ import annotations

import argparse
import dataclasses

import pytest
from arm_bags import Played, arm_bag

from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics import Arm
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.folder import policy_folder
from smoothvla_ros.policies.weights_folder import folder_sha256
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.workflows.training import arm_training
from smoothvla_ros.workflows.training.arm_training import POLICY, train_from_arm
from smoothvla_ros.workflows.training.command import add_arguments, run

# A busy machine takes minutes to import and load what a policy needs.
pytestmark = pytest.mark.timeout(600)
SHA256 = folder_sha256(policy_folder('default'))
EPISODES = (Played('a', 'success', 0.02), Played('b', 'success', 0.05), Played('c', 'failure'))


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Three episodes of the shipped policy."""
    path = tmp_path_factory.mktemp('arm') / 'bag'
    return arm_bag(path, SHA256, EPISODES, policy=load_policy('default'))


def test_kl_and_course_hold_the_policy_to_where_it_began(bag, tmp_path):
    """After its first step an update has left the starting policy, and both look at how far."""
    config = TrainConfig(
        output=tmp_path / 'out', epochs=2, minibatches=1, learning_rate=1e-3, kl_coefficient=0.1
    )
    figures = train_from_arm(config, [bag], Arm.panda())
    assert figures['course_error'] > 0.0
    assert figures['reference_kl'] > 0.0
    assert (tmp_path / 'out' / POLICY).is_dir()


@pytest.mark.parametrize(
    ('other', 'named'),
    [
        ({'action_space': 'joints'}, "7 numbers of 'joints'"),
        ({'action_dimension': 6}, "6 numbers of 'libero_osc_pose'"),
    ],
)
def test_a_course_is_known_of_tool_pose_deltas_alone(bag, tmp_path, monkeypatch, other, named):
    """Joint positions added up lead nowhere; the option that goes without is named."""
    policy = load_policy('default')
    monkeypatch.setattr(policy, 'spec', dataclasses.replace(policy.spec, **other))
    monkeypatch.setattr(arm_training, 'load_policy', lambda *_: policy)
    with pytest.raises(UserError, match=rf'answers {named}.*--course-coefficient 0'):
        train_from_arm(TrainConfig(output=tmp_path / 'out'), [bag], Arm.panda())


def run_command(*options):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(['--arm-recording', 'bag', *options]))


@pytest.mark.parametrize(
    ('options', 'names'),
    [
        (['--iterations', '16', '--tasks', '1'], 'iterations, tasks'),
        (['--temperature', '0.5', '--evaluation-episodes', '0'], 'evaluation_episodes, temper'),
        (['--rollouts', 'ray', '--ray-actors', '2'], 'ray_actors, rollouts'),
    ],
)
def test_options_without_effect_are_refused(options, names):
    """By name, and one with its usual value too: it was given to change something."""
    with pytest.raises(UserError, match=f'with --arm-recording {names}'):
        run_command(*options)


def test_a_file_of_settings_without_effect_is_refused(tmp_path):
    """A file for training in simulation: what it sets there is nothing here."""
    file = tmp_path / 'train.yaml'
    file.write_text('iterations: 3\nlearning_rate: 1.0e-4\n')
    with pytest.raises(UserError, match='with --arm-recording iterations would'):
        run_command('--config', str(file))


def test_joint_states_are_of_an_arm():
    """Training in simulation does not drop the option silently."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(UserError, match='--joint-states franka/joint_states is of --arm-rec'):
        run(parser.parse_args(['--joint-states', 'franka/joint_states']))
