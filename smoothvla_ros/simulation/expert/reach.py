"""Bring the open gripper down over a grasp, and close it."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics.rotations import rotation_vector
from smoothvla_ros.simulation.expert.grasp import Grasp
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    OPEN,
    ExpertCommand,
    HeightProfile,
    blend,
    interpolate,
    tool_rotation,
)
from smoothvla_ros.simulation.expert.scene import ExpertScene

FULLY_OPEN = 0.07  # m between the pads; below it the fingers are closing or closed
CLEARANCE = 0.025  # kept above obstacles, m
WAY_WIDTH = 0.09  # half width of the way that must be clear, m
HOVER = 0.012  # height above the object at which the tool gets over the grasp, m
CONE_LOW, CONE_HIGH = 0.006, 0.022  # distances (m) from the vertical between which it comes down
CONE_SLOPE = 1.2


class Reach:
    """The way to one grasp from where the tool was when it was planned."""

    def __init__(self, scene: ExpertScene, grasp: Grasp, obstacles: np.ndarray):
        """obstacles: surface points of everything but the object, [n, 3] m."""
        self._grasp = grasp
        self._height = HeightProfile(
            scene.tool_position[:2],
            grasp.position[:2],
            obstacles + np.array([0.0, 0.0, CLEARANCE]),
            radius=WAY_WIDTH,
            lowest=grasp.top + CLEARANCE,
        )

    def steer(self, scene: ExpertScene, position: np.ndarray, target: np.ndarray) -> ExpertCommand:
        """Return what to do now.

        position: of the grasp now [3] m, wherever the object has moved.  target: where the object
        has to go, [3] m.
        """
        grasp, tool = self._grasp, scene.tool_position
        error = position - tool
        aside = float(np.linalg.norm(error[:2]))
        rotation = tool_rotation(grasp.yaw, tool)
        turned = float(np.linalg.norm(rotation_vector(rotation @ scene.tool_rotation.T)))
        closing = scene.opening < FULLY_OPEN
        slack = 2.0 if closing else 1.0
        at_grasp = aside < 0.009 * slack and abs(error[2]) < 0.008 * slack and turned < 0.12 * slack
        height, required = self._heights(aside, turned, float(position[2]), float(tool[2]))
        if closing and not at_grasp:
            height = max(height, grasp.top + HOVER)
        return ExpertCommand(
            velocity=blend(error[:2], height - float(tool[2]), required - float(tool[2])),
            rotation=rotation,
            gripper=CLOSED if at_grasp else OPEN,
            waypoint=position,
            target=target,
            noise=interpolate(float(np.linalg.norm(error)), 0.03, 0.08, 0.0, 1.0),
        )

    def _heights(
        self, aside: float, turned: float, grasp_height: float, tool_height: float
    ) -> tuple[float, float]:
        """Return the height to go to, and the one below which the tool must not go across.

        A cone stands over the grasp: the closer the tool is to the vertical through it, the lower
        it may be. It may always stay above the cone, never climbs to it.
        """
        hover = self._grasp.top + HOVER
        over = max(hover, self._height.travel(aside))
        if aside > CONE_HIGH:
            height = max(over, min(tool_height, hover + CONE_SLOPE * (aside - CONE_HIGH)))
            return height, max(hover, self._height.required(aside))
        height = interpolate(aside, CONE_LOW, CONE_HIGH, grasp_height, over)
        height = max(height, interpolate(turned, 0.1, 0.25, grasp_height, hover))
        return height, height if aside > 2.0 * CONE_LOW else -np.inf
