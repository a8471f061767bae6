"""LIBERO: tasks and splits, the fast environment, worker processes, demonstrations.

Knows neither ROS nor torch. Listing suites and splitting episodes imports nothing heavy; MuJoCo,
robosuite and LIBERO come with an environment.
"""

from smoothvla_ros.simulation.rendering import graphics

graphics.choose_backend()
