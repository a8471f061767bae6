"""Turn a knob on or off: take its grip from above, and turn the hand."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.grasp import plan_grasp
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    OPEN,
    ExpertCommand,
    rotation_about,
    tool_rotation,
    velocity_towards,
)
from smoothvla_ros.simulation.expert.reach import Reach
from smoothvla_ros.simulation.expert.scene import ExpertScene

GRIP_HEIGHT = 0.025  # of the part of the knob that is taken, from its top, m
HOLDING = 0.05  # opening of the fingers below which they are round the grip, m
EMPTY = 0.01  # opening below which nothing is between them, m
NEAR = 0.02  # distance from the grip within which the hand still has it, m
LEAD = 0.8  # the hand aims this far ahead of the knob, rad


class TurnKnob:
    """Steers the arm to a knob that is turned on, or off."""

    def __init__(self, goal: Goal):
        """goal: ``turnon`` or ``turnoff``, its subject the fixture with the knob."""
        self._goal = goal
        self._reach: Reach | None = None
        self._yaw = 0.0
        self._turned_at_grasp = 0.0
        self._holding = False

    def focus(self, scene: ExpertScene) -> np.ndarray:
        """Where the knob's grip is, [3] m."""
        points = self._grip(scene)
        return (points.max(axis=0) + points.min(axis=0)) / 2.0

    def done(self, scene: ExpertScene) -> bool:
        """Whether the knob is turned and let go."""
        return scene.satisfied(self._goal) and self._contacts(scene) == 0

    def steer(self, scene: ExpertScene) -> ExpertCommand:
        """Return what to do now."""
        joint, focus = self._joint(scene), self.focus(scene)
        if self._reach is None:
            grasp = plan_grasp(self._grip(scene), np.eye(3), 'grip', np.zeros((0, 3)))
            self._yaw, self._turned_at_grasp = grasp.yaw, scene.joint(joint)
            self._reach = Reach(scene, grasp, scene.obstacles([self._goal.subject]))
            self._offset = grasp.position - focus
        position = focus + self._offset
        if scene.satisfied(self._goal):
            away = scene.tool_position + np.array([0.0, 0.0, 0.05])
            velocity = velocity_towards(away - scene.tool_position, 0.5)
            return ExpertCommand(velocity, scene.tool_rotation, OPEN, away, focus, 0.0)
        near = float(np.linalg.norm(position - scene.tool_position)) < NEAR
        round_it = EMPTY < scene.opening < HOLDING and near
        self._holding = round_it and (self._holding or self._contacts(scene) == 2)
        if self._holding:
            turned = scene.joint(joint) - self._turned_at_grasp
            lead = LEAD if self._goal.predicate == 'turnon' else -LEAD
            upright = tool_rotation(self._yaw, scene.tool_position)
            return ExpertCommand(
                velocity=velocity_towards(position - scene.tool_position, 0.3),
                rotation=rotation_about(2, turned + lead) @ upright,
                gripper=CLOSED,
                waypoint=position,
                target=focus,
                noise=0.0,
            )
        return self._reach.steer(scene, position, focus)

    def _joint(self, scene: ExpertScene) -> str:
        return scene.joints_of(self._goal.subject)[0]

    def _grip(self, scene: ExpertScene) -> np.ndarray:
        points = scene.points(scene.joint_body(self._joint(scene)))
        return points[points[:, 2] > points[:, 2].max() - GRIP_HEIGHT]

    def _contacts(self, scene: ExpertScene) -> int:
        return scene.finger_contacts(scene.joint_body(self._joint(scene)))
