"""Measure a policy's success and jerk on LIBERO over the graph: bridge, policy and evaluator.

When the evaluator is done, or any node ends, everything ends.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from smoothvla_ros.evaluation.episodes.policy_labels import EXPERT
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
from smoothvla_ros.nodes.launching.viewer import NONE, declare_viewer, viewer, wanted
from smoothvla_ros.simulation.workers.robot_count import AUTOMATIC, robots_that_fit
from smoothvla_ros.workflows.evaluation.config import EvaluationConfig
from smoothvla_ros.writable_folder import check_writable

SHARE = Path(__file__).resolve().parents[1]
CONFIG = SHARE / 'config'

NODES = ('libero_bridge', 'policy', 'jerk_monitor', 'evaluator')
# They load the policy, on one device.
COMPUTING = ('policy', 'evaluator')
# For `smoothvla launch`: whose setting an argument may be that this file does not have.
SETTINGS = {'evaluator': EvaluationConfig}
# Arguments by the node that they go to; those of several nodes have one value.
BRIDGE = ('robots', 'render_profile')
POLICY = ('robots', 'device')
MONITOR = ('robots',)
EVALUATOR = (
    'policy',
    'compare',
    'suite',
    'tasks',
    'episodes',
    'split',
    'seed',
    'temperatures',
    'robots',
    'render_profile',
    'video',
    'out',
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
    settings = check(EvaluationConfig, arguments, EVALUATOR, 'evaluator')
    check_writable(settings.out, 'out=')
    policies = [settings.policy]
    if settings.compare not in (None, EXPERT):
        policies.append(settings.compare)
    bridge = drawn_for(policies, 'libero_bridge', arguments) | given(arguments, BRIDGE)
    # An evaluation needs no observations back, only the motion.
    no_rollouts = {'record_rollouts': False}
    policy = {'graph': 'lock_step'} | no_rollouts | given(arguments, POLICY)
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
            parameters=[str(CONFIG / 'policy.yaml'), config, policy],
            output='screen',
            on_exit=Shutdown(reason='policy ended'),
        ),
        Node(
            package='smoothvla_ros',
            executable='evaluator',
            name='evaluator',
            namespace=namespace,
            parameters=[config, no_rollouts | given(arguments, EVALUATOR)],
            output='screen',
            emulate_tty=True,
            on_exit=Shutdown(reason='evaluator ended'),
        ),
        *view(arguments),
    ]


def view(arguments: dict[str, str]) -> list[Node]:
    """Return the viewer if one is wanted, and the monitor that tells it the jerk."""
    if wanted(arguments) == NONE:
        return []
    lock_step = {'graph': 'lock_step'}
    monitor = Node(
        package='smoothvla_ros',
        executable='jerk_monitor',
        name='jerk_monitor',
        namespace=arguments['namespace'],
        parameters=[
            str(CONFIG / 'jerk_monitor.yaml'),
            arguments['config'],
            lock_step | given(arguments, MONITOR),
        ],
        output='screen',
        on_exit=Shutdown(reason='jerk_monitor ended'),
    )
    return [
        monitor,
        *viewer(arguments, SHARE / 'rviz' / 'jerk_monitor.rviz', lock_step, MONITOR),
    ]


def generate_launch_description() -> LaunchDescription:
    """Return the description of the evaluation graph."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'config',
                default_value=str(CONFIG / 'evaluate.yaml'),
                description='Parameter file of the whole graph; other arguments override it',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of every node and topic'
            ),
            *declare_viewer(),
            *declare_recording(),
            *declare_arguments(
                EvaluationConfig, EVALUATOR, 'the file `config`', {'robots': AUTOMATIC}
            ),
            OpaqueFunction(function=graph),
        ]
    )
