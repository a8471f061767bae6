"""Close a drawer: push its handle with closed fingers."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics.rotations import rotation_vector
from smoothvla_ros.simulation.expert.drawer import drawer_joint, handle, opening_direction
from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    ExpertCommand,
    HeightProfile,
    interpolate,
    pointing_rotation,
    speed_for_distance,
    velocity_towards,
)
from smoothvla_ros.simulation.expert.scene import ExpertScene

TILT = np.radians(60.0)  # from pointing down: keeps the hand off the handles above
STANDOFF = 0.05  # before the handle, while the tool is still turning or beside it, m
ASIDE = 0.02  # how far beside the handle's middle the tool may push, m
OVERTRAVEL = 0.03  # the waypoint lies this far behind the shut drawer, m


class CloseDrawer:
    """Steers the arm to one shut drawer; nothing is remembered but the way there."""

    def __init__(self, goal: Goal):
        """goal: ``close``, its subject the region inside the drawer."""
        self._goal = goal
        self._joint = drawer_joint(goal.subject)
        self._height: HeightProfile | None = None

    def focus(self, scene: ExpertScene) -> np.ndarray:
        """Where the handle is, [3] m."""
        return handle(scene, self._joint)

    def done(self, scene: ExpertScene) -> bool:
        """Whether the drawer is shut."""
        return scene.satisfied(self._goal)

    def steer(self, scene: ExpertScene) -> ExpertCommand:
        """Return what to do now."""
        outward, bar = opening_direction(scene, self._joint), handle(scene, self._joint)
        rotation = _flat_hand(outward)
        turned = float(np.linalg.norm(rotation_vector(rotation @ scene.tool_rotation.T)))
        tool = scene.tool_position
        left = abs(scene.joint(self._joint))
        shut = bar - outward * left
        ahead = float((tool - bar) @ outward)
        beside = (bar - tool) + ahead * outward
        away = float(np.linalg.norm(beside))
        if ahead > -0.01 and away < ASIDE and turned < 0.3:
            push = -outward * speed_for_distance(left + max(ahead, 0.0) + OVERTRAVEL, 0.6)
            return ExpertCommand(
                velocity=push + 8.0 * beside,
                rotation=rotation,
                gripper=CLOSED,
                waypoint=shut,
                target=shut,
                noise=0.2,
            )
        stance = bar + outward * STANDOFF
        across = float(np.linalg.norm((stance - tool)[:2]))
        if self._height is None:
            obstacles = scene.obstacles() + np.array([0.0, 0.0, 0.06])
            self._height = HeightProfile(tool[:2], stance[:2], obstacles, 0.1, float(stance[2]))
        height = self._height.travel(across) if across > 0.04 else float(stance[2])
        goal = np.array([*stance[:2], height])
        velocity = velocity_towards(goal - tool)
        velocity[:2] *= interpolate(height - float(tool[2]), 0.02, 0.06, 1.0, 0.0)
        return ExpertCommand(
            velocity=velocity,
            rotation=rotation,
            gripper=CLOSED,
            waypoint=stance,
            target=shut,
            noise=interpolate(away, 0.05, 0.1, 0.2, 1.0),
        )


def _flat_hand(outward: np.ndarray) -> np.ndarray:
    """Return the orientation of a hand before the drawer that is thin from top to bottom."""
    fingers = np.cross(outward, [0.0, 0.0, 1.0])
    fingers = fingers * (1.0 if fingers[0] >= 0.0 else -1.0)
    approach = -np.sin(TILT) * outward - np.cos(TILT) * np.array([0.0, 0.0, 1.0])
    return pointing_rotation(approach, fingers)
