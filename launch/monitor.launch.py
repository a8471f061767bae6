"""Watch the jerk of arms that move already: the monitor, and a view of it on request.

It hears joint_states, so it runs beside whatever moves the arm: this package, MoveIt, a bag.
"""

from __future__ import annotations

from pathlib import Path

from launch.actions import DeclareLaunchArgument, OpaqueFunction, Shutdown
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription
from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig
from smoothvla_ros.nodes.launching.arguments import (
    agree,
    check,
    declare_arguments,
    expand_files,
    given,
)
from smoothvla_ros.nodes.launching.recorder import declare_recording, recorder
from smoothvla_ros.nodes.launching.viewer import declare_description, declare_viewer, viewer

SHARE = Path(__file__).resolve().parents[1]
CONFIG = SHARE / 'config'
# Of the viewer too.
ONE_ARM = ('robots', 'robot', 'urdf', 'joint_states')
MONITOR = (
    *ONE_ARM,
    'limits',
    'rate_hz',
    'window_s',
    'warning',
    'alarm',
    'encoder_step',
    'velocity_step',
    'silence_s',
)


def graph(context: LaunchContext) -> list[Node]:
    """Return the nodes, with the arguments that were given on top of the parameter file."""
    arguments = context.launch_configurations
    expand_files(arguments)
    # Beside an arm of somebody's there is one more often than two.
    agree(arguments, 'robots', ['jerk_monitor'], '1')
    check(JerkMonitorConfig, arguments, MONITOR, 'jerk_monitor')
    real_arm = {'graph': 'real_arm'} | given(arguments, MONITOR)
    monitor = Node(
        package='smoothvla_ros',
        executable='jerk_monitor',
        name='jerk_monitor',
        namespace=arguments['namespace'],
        parameters=[arguments['config'], real_arm],
        output='screen',
        on_exit=Shutdown(reason='jerk_monitor ended'),
    )
    view = viewer(arguments, SHARE / 'rviz' / 'jerk_monitor.rviz', {'graph': 'real_arm'}, ONE_ARM)
    return [*recorder(arguments), monitor, *view]


def generate_launch_description() -> LaunchDescription:
    """Return the description of the monitor beside a running arm."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'config',
                default_value=str(CONFIG / 'jerk_monitor.yaml'),
                description='Parameter file of the monitor; other arguments override it',
            ),
            DeclareLaunchArgument(
                'namespace', default_value='', description='Namespace of every node and topic'
            ),
            *declare_viewer(),
            declare_description(),
            *declare_recording(),
            *declare_arguments(JerkMonitorConfig, MONITOR, 'the file `config`'),
            OpaqueFunction(function=graph),
        ]
    )
