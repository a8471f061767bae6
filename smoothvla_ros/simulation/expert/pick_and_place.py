"""Take an object and put it on or into something."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.grasp import Grasp, plan_grasp
from smoothvla_ros.simulation.expert.motion import (
    CLOSED,
    OPEN,
    ExpertCommand,
    HeightProfile,
    blend,
    interpolate,
    tool_rotation,
)
from smoothvla_ros.simulation.expert.placement import find_placement
from smoothvla_ros.simulation.expert.reach import Reach
from smoothvla_ros.simulation.expert.scene import ExpertScene

GRIPPING = 0.0765  # m between the pads; above it nothing is held
CLEARANCE = 0.025  # kept above obstacles, m


class PickAndPlace:
    """Steers the arm for one ``on`` or ``in`` goal, from the measured state alone.

    Two things are kept between steps, and both can be seen in the picture: whether the object is in
    the hand, and the plan (grasp and heights) made when it was last taken or let go.
    """

    def __init__(self, goal: Goal):
        self._goal = goal
        self._in_hand = False
        self._held_offset = np.zeros(3)
        self._held_opening = 0.0
        self._grasp: Grasp | None = None
        self._planned_for = np.zeros(3)
        self._reach: Reach | None = None
        self._carry_height: HeightProfile | None = None

    @property
    def subject(self) -> str:
        """The object that is moved."""
        return self._goal.subject

    def focus(self, scene: ExpertScene) -> np.ndarray:
        """Where the object is, [3] m."""
        return scene.position(self.subject)

    def done(self, scene: ExpertScene) -> bool:
        """Whether the goal is reached and the object was let go."""
        return scene.satisfied(self._goal) and scene.finger_contacts(self.subject) == 0

    def steer(self, scene: ExpertScene) -> ExpertCommand:
        """Return what to do now."""
        self._update_in_hand(scene)
        if self._in_hand:
            return self._carry(scene)
        assert self._grasp is not None
        assert self._reach is not None
        position = self._grasp.position + scene.position(self.subject) - self._planned_for
        return self._reach.steer(scene, position, find_placement(scene, self._goal).position)

    def _update_in_hand(self, scene: ExpertScene) -> None:
        contacts = scene.finger_contacts(self.subject)
        offset = scene.position(self.subject) - scene.tool_position
        if self._in_hand:
            slipped = float(np.linalg.norm(offset - self._held_offset))
            opened = scene.opening - self._held_opening
            self._in_hand = contacts > 0 or (slipped < 0.02 and opened < 0.008)
        elif contacts == 2 and scene.opening < GRIPPING and scene.opening_rate < 0.02:
            self._in_hand = True
            self._held_offset, self._held_opening = offset, scene.opening
            self._carry_height = None
        if not self._in_hand and contacts == 0:
            self._plan_reach(scene)

    def _plan_reach(self, scene: ExpertScene) -> None:
        """Choose the grasp; again only when the object was moved, and not with the hand over it."""
        origin = scene.position(self.subject)
        if self._grasp is not None:
            moved = float(np.linalg.norm(origin - self._planned_for))
            over_it = np.linalg.norm((self._grasp.position - scene.tool_position)[:2]) < 0.05
            if moved < (0.012 if over_it else 0.003):
                return
        obstacles = scene.obstacles([self.subject])
        category = scene.problem.categories[self.subject]
        self._grasp = plan_grasp(
            scene.points(self.subject), scene.rotation(self.subject), category, obstacles
        )
        self._planned_for = origin
        self._reach = Reach(scene, self._grasp, obstacles)

    def _carry(self, scene: ExpertScene) -> ExpertCommand:
        placement = find_placement(scene, self._goal)
        tool, origin = scene.tool_position, scene.position(self.subject)
        points = scene.points(self.subject)
        hang = float(tool[2] - points[:, 2].min())
        error = placement.position[:2] - origin[:2]
        aside = float(np.linalg.norm(error))
        if self._carry_height is None:
            self._carry_height = HeightProfile(
                origin[:2],
                placement.position[:2],
                scene.obstacles([self.subject, placement.owner]) + np.array([0.0, 0.0, CLEARANCE]),
                radius=scene.radius(self.subject) + 0.03,
                lowest=placement.rim + 0.04,
            )
        release = float(placement.position[2]) + hang - 0.003
        over = placement.rim + hang + 0.012
        if aside > 0.05:
            height = self._carry_height.travel(aside) + hang
            required = self._carry_height.required(aside) + hang - 0.01
        elif aside > 0.03:
            height = required = over + aside - 0.03
        else:
            height = interpolate(aside, 0.008, 0.03, release, over)
            required = height
        arrived = aside < 0.015 and float(tool[2]) - release < 0.009
        grasp = self._grasp
        assert grasp is not None
        return ExpertCommand(
            velocity=blend(error, height - float(tool[2]), required - float(tool[2]), 0.7),
            rotation=tool_rotation(grasp.yaw, tool, level=False),
            gripper=OPEN if arrived or scene.satisfied(self._goal) else CLOSED,
            waypoint=np.array([*(tool[:2] + error), release]),
            target=placement.position,
            noise=interpolate(aside, 0.02, 0.08, 0.2, 0.6),
        )
