"""`smoothvla launch`: our launch files with `ros2 launch`'s own engine, or without it."""

from smoothvla_ros.nodes.launch_runner.command import add_arguments, run

__all__ = ['add_arguments', 'run']
