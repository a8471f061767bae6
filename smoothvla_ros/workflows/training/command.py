"""`smoothvla train`: a training job in this process."""

from __future__ import annotations

import argparse

from smoothvla_ros.configuration import load
from smoothvla_ros.errors import UserError
from smoothvla_ros.kinematics.robot import load_robot_description
from smoothvla_ros.policies import load_policy
from smoothvla_ros.policies.libero_actions import require_libero_actions
from smoothvla_ros.policies.loading import warn_unused_gpu
from smoothvla_ros.simulation.rendering.settings import RenderSettings
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.learning.learner_group import LearnerGroup
from smoothvla_ros.training.run_folder import check_folder
from smoothvla_ros.user_path import user_path
from smoothvla_ros.workflows.options import add_settings, given_settings
from smoothvla_ros.workflows.rollout_choice import (
    OTHERWISE,
    add_rollout_arguments,
    given_rollout_arguments,
    open_rollouts,
    robots_unless_given,
)
from smoothvla_ros.workflows.training.arm_training import (
    print_update,
    require_effect,
    train_from_arm,
)
from smoothvla_ros.workflows.training.job import RUN_FILES, print_result, train
from smoothvla_ros.workflows.training.learner_processes import follow_training
from smoothvla_ros.workflows.training.recorded_rollouts import RecordedRolloutSource


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; every setting of `TrainConfig` is one."""
    parser.add_argument(
        '--recording',
        type=user_path,
        nargs='+',
        metavar='BAG',
        help='train again from a recorded run, given the same settings, instead of from simulation',
    )
    parser.add_argument(
        '--arm-recording',
        type=user_path,
        nargs='+',
        metavar='BAG',
        help='one update from labelled episodes of a real arm (deploy.launch.py record:=true)',
    )
    parser.add_argument(
        '--robot',
        default='panda',
        help='arm of --arm-recording: a name in config/robots, or a file',
    )
    parser.add_argument('--urdf', default='', help="its URDF, in place of the file's")
    parser.add_argument(
        '--joint-states',
        metavar='TOPIC',
        help="of --arm-recording: the recorded topic of the arm's joints, its full name or its end "
        '(default: the only one that carries them all)',
    )
    add_rollout_arguments(parser)
    parser.add_argument('--config', type=user_path, help='YAML file of the settings below')
    add_settings(parser, TrainConfig, defaults=OTHERWISE)


def run(arguments: argparse.Namespace) -> int:
    """Train in this process, print the table and say where the report is."""
    given = given_settings(arguments, TrainConfig)
    if arguments.arm_recording:
        if arguments.recording:
            raise UserError('--recording and --arm-recording are two jobs; give one of them')
        config = load(TrainConfig, arguments.config, given)
        require_effect(config, {*given, *given_rollout_arguments(arguments)})
        arm = load_robot_description(arguments.robot, arguments.urdf).arm()
        figures = train_from_arm(config, arguments.arm_recording, arm, arguments.joint_states)
        print_update(figures, config)
        return 0
    if arguments.joint_states:
        raise UserError(
            f'--joint-states {arguments.joint_states} is of --arm-recording; leave it out'
        )
    config = load(TrainConfig, arguments.config, given, robots_unless_given(arguments))
    group = LearnerGroup.launched(config.device)
    if group.rank > 0:
        follow_training(group, load_policy)
        return 0
    check_folder(config, RUN_FILES)
    warn_unused_gpu(config.device)
    if arguments.recording:
        source = RecordedRolloutSource(arguments.recording)
        print_result(train(config, source, group=group), config)
        return 0
    # A policy that cannot be loaded is named before anything is started.
    spec = load_policy(config.policy, config.device).spec
    require_libero_actions(spec, config.policy)
    render = RenderSettings(config.render_profile, spec.image_size, spec.cameras)
    with open_rollouts(
        arguments, config.device, config.robots, load_policy, render, config.deterministic
    ) as rollouts:
        print_result(train(config, rollouts, group=group), config)
    return 0
