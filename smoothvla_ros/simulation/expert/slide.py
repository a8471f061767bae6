"""Slide something flat over the table: take it by its rim, and pull it along without lifting."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    OPEN,
    Command,
    speed_for_distance,
    tool_rotation,
    velocity_towards,
)
from smoothvla_ros.simulation.expert.pick_and_place import PickAndPlace
from smoothvla_ros.simulation.expert.placement import find_placement
from smoothvla_ros.simulation.expert.scene import Scene

LIFT = 0.004  # keeps the fingertips off the table, m
FASTEST = 0.7


class Slide(PickAndPlace):
    """Steers the arm for an ``on`` goal whose subject stays on the surface that it lies on."""

    def __init__(self, goal: Goal):
        """goal: ``on`` a region of the table."""
        super().__init__(goal)

    def _carry(self, scene: Scene) -> Command:
        placement, grasp = find_placement(scene, self._goal), self._grasp
        assert grasp is not None
        tool = scene.tool_position
        way = placement.position[:2] - scene.position(self.subject)[:2]
        rise = float(grasp.position[2]) + LIFT - float(tool[2])
        upward = np.sign(rise) * speed_for_distance(abs(rise))
        return Command(
            velocity=np.array([*velocity_towards(way, FASTEST), upward]),
            rotation=tool_rotation(grasp.yaw, tool, level=False),
            gripper=OPEN if scene.satisfied(self._goal) else CLOSED,
            waypoint=np.array([*(tool[:2] + way), grasp.position[2] + LIFT]),
            target=placement.position,
            noise=0.2,
        )
