"""Open a drawer: take the bar of its handle from the front, and pull."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.kinematics.rotations import rotation_vector
from smoothvla_ros.simulation.expert.drawer import drawer_joint, handle, opening_direction
from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    OPEN,
    ExpertCommand,
    HeightProfile,
    interpolate,
    sideways_rotation,
    velocity_towards,
)
from smoothvla_ros.simulation.expert.scene import ExpertScene

TILT = np.radians(75.0)  # from pointing down; more would bring the hand down to the table
STANDOFF = 0.09  # before the handle, while the tool is still turning or beside it, m
OVERTRAVEL = 0.02  # the waypoint lies this far beyond the open drawer, m
CLEAR = 0.07  # distance from the handle at which the hand may do something else, m
OPEN_ENOUGH = 0.7  # share of the way; a drawer may slip back a little after it was let go
HOLDING = 0.04  # opening of the fingers below which they are round the bar, m


class OpenDrawer:
    """Steers the arm to one open drawer; nothing is remembered but the way there."""

    def __init__(self, goal: Goal):
        """goal: ``open``, its subject the region inside the drawer."""
        self._goal = goal
        self._joint = drawer_joint(goal.subject)
        self._height: HeightProfile | None = None

    @property
    def subject(self) -> str:
        """The region inside the drawer."""
        return self._goal.subject

    def focus(self, scene: ExpertScene) -> np.ndarray:
        """Where the handle is, [3] m."""
        return handle(scene, self._joint)

    def done(self, scene: ExpertScene) -> bool:
        """Whether the drawer is open and the hand is clear of it."""
        apart = float(np.linalg.norm(scene.tool_position - handle(scene, self._joint)))
        return self._opened_enough(scene) and apart > CLEAR

    def _opened_enough(self, scene: ExpertScene) -> bool:
        low, high = scene.joint_range(self._joint)
        return abs(scene.joint(self._joint)) > OPEN_ENOUGH * max(abs(low), abs(high))

    def steer(self, scene: ExpertScene) -> ExpertCommand:
        """Return what to do now."""
        outward, bar = opening_direction(scene, self._joint), handle(scene, self._joint)
        rotation = sideways_rotation(outward, TILT)
        tool = scene.tool_position
        grasp = bar + 0.004 * outward
        low, high = scene.joint_range(self._joint)
        travel = max(abs(low), abs(high)) - abs(scene.joint(self._joint))
        target = bar + outward * travel
        if scene.satisfied(self._goal) or (self._opened_enough(scene) and scene.opening > 0.05):
            return self._let_go(tool, rotation, outward, target)
        holding = self._contacts(scene) == 2 and scene.opening < HOLDING
        if holding:
            goal = grasp + outward * (travel + OVERTRAVEL)
            return ExpertCommand(
                velocity=velocity_towards(goal - tool, 0.7),
                rotation=rotation,
                gripper=CLOSED,
                waypoint=goal,
                target=target,
                noise=0.3,
            )
        return self._reach(scene, grasp, rotation, target)

    def _contacts(self, scene: ExpertScene) -> int:
        return scene.finger_contacts(scene.joint_body(self._joint))

    def _let_go(
        self, tool: np.ndarray, rotation: np.ndarray, outward: np.ndarray, target: np.ndarray
    ) -> ExpertCommand:
        away = tool + (CLEAR + 0.02) * outward
        return ExpertCommand(velocity_towards(away - tool, 0.6), rotation, OPEN, away, target, 0.0)

    def _reach(
        self, scene: ExpertScene, grasp: np.ndarray, rotation: np.ndarray, target: np.ndarray
    ) -> ExpertCommand:
        tool, approach = scene.tool_position, rotation[:, 2]
        turned = float(np.linalg.norm(rotation_vector(rotation @ scene.tool_rotation.T)))
        error = grasp - tool
        beside = float(np.linalg.norm(error - approach * (error @ approach)))
        standoff = max(
            interpolate(beside, 0.008, 0.03, 0.0, STANDOFF),
            interpolate(turned, 0.12, 0.3, 0.0, STANDOFF),
        )
        goal = grasp - approach * standoff
        aside = float(np.linalg.norm((goal - tool)[:2]))
        if self._height is None:
            obstacles = scene.obstacles([scene.problem.owner(self._goal.subject)])
            self._height = HeightProfile(
                tool[:2], goal[:2], obstacles + np.array([0, 0, 0.06]), radius=0.1, lowest=goal[2]
            )
        if aside > 0.06:
            goal = np.array([*goal[:2], max(goal[2], self._height.travel(aside))])
        near = float(np.linalg.norm(error))
        slack = 2.0 if scene.opening < 0.07 else 1.0
        closing = near < 0.012 * slack and turned < 0.2
        return ExpertCommand(
            velocity=velocity_towards(goal - tool),
            rotation=rotation,
            gripper=CLOSED if closing else OPEN,
            waypoint=grasp,
            target=target,
            noise=interpolate(near, 0.04, 0.1, 0.0, 1.0),
        )
