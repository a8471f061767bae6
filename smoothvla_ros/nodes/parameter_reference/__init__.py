"""`smoothvla parameters`: what every node can be told, without starting it and without `ros2`."""

from smoothvla_ros.nodes.parameter_reference.command import add_arguments, run

__all__ = ['add_arguments', 'run']
