"""Fine-tune a policy in LIBERO with GRPO: bridge, policy, jerk monitor and trainer.

When the trainer is done, or any node ends, everything ends.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from smoothvla_ros.nodes.launching.arguments import (
    agree,
    check,
    declare_arguments,
    drawn_for,
    expand_files,
    given,
    stay_on_this_machine,
)
from smoothvla_ros.nodes.launching.recorder import declare_recording, recorder
from smoothvla_ros.nodes.launching.viewer import declare_viewer, viewer
from smoothvla_ros.simulation.workers.robot_count import AUTOMATIC, robots_that_fit
from smoothvla_ros.training.config import TrainConfig
from smoothvla_ros.training.run_folder import check_folder

SHARE = Path(__file__).resolve().parents[1]
CONFIG = SHARE / 'config'

NODES = ('libero_bridge', 'policy', 'jerk_monitor', 'grpo_trainer')
# They load the policy, on one device.
COMPUTING = ('policy', 'grpo_trainer')
# For `smoothvla launch`: whose setting an argument may be that this file does not have.
SETTINGS = {'grpo_trainer': TrainConfig}
# Arguments by the node that they go to; those of several nodes have one value.
BRIDGE = ('robots', 'render_profile')
POLICY = ('robots', 'deterministic', 'device')
MONITOR = ('robots',)
TRAINER = (
    'suite',
    'tasks',
    'policy',
    'reward',
    'iterations',
    'groups',
    'group_size',
    'temperature',
    'evaluation_episodes',
    'robots',
    'render_profile',
    'deterministic',
    'seed',
    'output',
    'resume',
    'device',
)


def graph(context: LaunchContext) -> list[Node]:
    """Return the nodes, with the arguments that were given on top of the parameter files."""
    arguments = context.launch_configurations
    expand_files(arguments)
    stay_on_this_machine()
    namespace = arguments['namespace']
    config = arguments['config']
    agree(arguments, 'robots', NODES, str(robots_that_fit()))
    agree(arguments, 'device', COMPUTING)
    settings = check(TrainConfig, arguments, TRAINER, 'grpo_trainer')
    check_folder(settings, ())
    bridge = drawn_for([settings.policy], 'libero_bridge', arguments) | given(arguments, BRIDGE)
    lock_step = {'graph': 'lock_step'}
    return [
        *recorder(arguments),
        Node(
            package='smoothvla_ros',
            executable='libero_bridge',
            name='libero_bridge',
            namespace=namespace,
            parameters=[config, bridge],
            output='screen',
            on_exit=Shutdown(reason='libero_bridge ended'),
        ),
        Node(
            package='smoothvla_ros',
            executable='policy',
            name='policy',
            namespace=namespace,
            parameters=[str(CONFIG / 'policy.yaml'), config, lock_step | given(arguments, POLICY)],
            output='screen',
            on_exit=Shutdown(reason='policy ended'),
        ),
        Node(
            package='smoothvla_ros',
            executable='jerk_monitor',
            name='jerk_monitor',
            namespace=namespace,
            parameters=[
                str(CONFIG / 'jerk_monitor.yaml'),
                config,
                lock_step | given(arguments, MONITOR),
            ],
            output='screen',
            condition=IfCondition(LaunchConfiguration('monitor')),
            on_exit=Shutdown(reason='jerk_monitor ended'),
        ),
        Node(
            package='smoothvla_ros',
            executable='grpo_trainer',
            name='grpo_trainer',
            namespace=namespace,
            parameters=[config, given(arguments, TRAINER)],
            output='screen',
            emulate_tty=True,
            on_exit=Shutdown(reason='grpo_trainer ended'),
        ),
        *viewer(arguments, SHARE / 'rviz' / 'jerk_monitor.rviz', lock_step, MONITOR),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the description of the training graph."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'config',
                default_value=str(CONFIG / 'train.yaml'),
                description='Parameter file of the whole graph; other arguments override it',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of every node and topic'
            ),
            DeclareLaunchArgument(
                'monitor',
                default_value='true',
                choices=['true', 'false'],
                description='Whether to run the jerk monitor',
            ),
            *declare_viewer(),
            *declare_recording(),
            *declare_arguments(TrainConfig, TRAINER, 'the file `config`', {'robots': AUTOMATIC}),
            OpaqueFunction(function=graph),
        ]
    )
