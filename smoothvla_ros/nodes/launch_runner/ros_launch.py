"""ROS 2's own launch, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def run_ros_launch(path: Path, values: Mapping[str, str], *, show_arguments: bool) -> int:
    """Run a launch file in ROS 2's LaunchService; return 0, or 1 where launch itself failed."""
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    from launch import LaunchDescription, LaunchService  # type: ignore[attr-defined]

    source = PythonLaunchDescriptionSource(str(path))
    include = IncludeLaunchDescription(source, launch_arguments=list(values.items()))
    if show_arguments:
        from ros2launch.api.api import print_arguments_of_launch_file

        print_arguments_of_launch_file(launch_file_path=str(path))
        return 0
    service = LaunchService()
    service.include_launch_description(LaunchDescription([include]))
    return service.run()
