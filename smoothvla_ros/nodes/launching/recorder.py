"""`record:=true`, the same on every launch file."""

from __future__ import annotations

from collections.abc import Mapping

from launch.actions import DeclareLaunchArgument, Shutdown
from launch_ros.actions import Node

from smoothvla_ros.nodes.launching.arguments import check, declare_arguments, given
from smoothvla_ros.nodes.recorder import RecorderConfig, recording_folder
from smoothvla_ros.recordings.writer import check_new_recording

_OF_RECORDER = ('recording',)


def declare_recording() -> list[DeclareLaunchArgument]:
    """Return the arguments that turn recording on and say where to."""
    return [
        DeclareLaunchArgument(
            'record',
            default_value='false',
            choices=['true', 'false'],
            description='Whether to record every topic, from which every number can be computed',
        ),
        *declare_arguments(RecorderConfig, _OF_RECORDER, 'the file `config`'),
    ]


def recorder(configurations: Mapping[str, str]) -> list[Node]:
    """Return the recorder if it is wanted; put it first, so that it hears everything.

    A run that was to be recorded ends when its recorder does: it could not be repeated.
    Raises UserError, before any node starts, for a recording that cannot be written or is there.
    """
    if configurations['record'] != 'true':
        return []
    settings = check(RecorderConfig, configurations, _OF_RECORDER, 'recorder')
    check_new_recording(recording_folder(settings.recording))
    return [
        Node(
            package='smoothvla_ros',
            executable='recorder',
            name='recorder',
            namespace=configurations['namespace'],
            parameters=[configurations['config'], given(configurations, _OF_RECORDER)],
            output='screen',
            on_exit=Shutdown(reason='recorder ended'),
        )
    ]
