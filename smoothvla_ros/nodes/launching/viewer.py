"""`viewer:=rerun | rviz | none`, the same on every launch file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from launch.actions import DeclareLaunchArgument
from launch_ros.actions import Node

from smoothvla_ros.errors import UserError
from smoothvla_ros.nodes.launching.arguments import given
from smoothvla_ros.nodes.launching.parameter_files import parameters_of
from smoothvla_ros.robot_name import ROBOT, RULE, is_namespace

NONE, RERUN, RVIZ = 'none', 'rerun', 'rviz'
# Where RViz's files look for the arm.
DESCRIPTION = f'{ROBOT}/robot_description'


def declare_viewer() -> list[DeclareLaunchArgument]:
    """Return the arguments that show a run."""
    return [
        DeclareLaunchArgument(
            'viewer',
            default_value=NONE,
            choices=[NONE, RERUN, RVIZ],
            description='What shows arm, cameras and jerk: RViz, or a web page of Rerun',
        ),
        DeclareLaunchArgument(
            'rviz',
            default_value='false',
            choices=['true', 'false'],
            description='The same as viewer:=rviz',
        ),
    ]


def declare_description() -> DeclareLaunchArgument:
    """Return the argument that says where RViz finds an arm that somebody else describes."""
    return DeclareLaunchArgument(
        'robot_description',
        default_value='',
        description='RViz: topic with the URDF of the arm, of its driver as a rule '
        f'(empty: {DESCRIPTION})',
    )


def wanted(configurations: Mapping[str, str]) -> str:
    """Return which viewer was asked for.  Raises UserError for two of them."""
    which = configurations['viewer']
    if configurations['rviz'] == 'false':
        return which
    if which == RERUN:
        raise UserError('viewer:=rerun and rviz:=true: one is shown; give viewer:=rerun or rviz')
    return RVIZ


def viewer(
    configurations: Mapping[str, str],
    file: Path,
    values: Mapping[str, Any],
    names: Sequence[str] = (),
) -> list[Node]:
    """Return the viewer, if one is wanted; nothing ends with it.

    file: of RViz.  values: parameters of both.  names: arguments that the page's node knows too.
    """
    which = wanted(configurations)
    common = {'namespace': configurations['namespace'], 'output': 'screen'}
    if which == RVIZ:
        clock = {name: value for name, value in values.items() if name == 'use_sim_time'}
        return [
            Node(
                package='rviz2',
                executable='rviz2',
                name='rviz2',
                parameters=[clock] if clock else [],
                # The files name the Panda's base; their topics are in the namespace of RViz.
                arguments=['-d', str(file), '-f', base_frame(configurations)],
                remappings=_description(configurations),
                **common,
            )
        ]
    if which == RERUN:
        return [
            Node(
                package='smoothvla_ros',
                executable='rerun_viewer',
                name='rerun_viewer',
                parameters=[configurations['config'], dict(values) | given(configurations, names)],
                **common,
            )
        ]
    return []


def _description(configurations: Mapping[str, str]) -> list[tuple[str, str]]:
    topic = configurations.get('robot_description', '')
    if topic and not is_namespace(topic):
        raise UserError(f'robot_description:={topic} is no ROS topic; {RULE}')
    return [(DESCRIPTION, topic)] if topic else []


def base_frame(configurations: Mapping[str, str]) -> str:
    """Return the frame of what RViz shows: the base of the arm that the monitor watches.

    Raises UserError for a robot that is not there.
    """
    # RViz alone needs it: a launch without it is spared the kinematics.
    from smoothvla_ros.kinematics.robot import load_robot_description
    from smoothvla_ros.nodes.jerk_monitor.config import JerkMonitorConfig

    file = parameters_of('jerk_monitor', configurations)
    robot = configurations.get('robot') or file.get('robot') or JerkMonitorConfig.robot
    return load_robot_description(robot).base_frame
