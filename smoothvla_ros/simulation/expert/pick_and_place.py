"""Take an object and put it on or into something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.grasp import Grasp, plan_grasp
from smoothvla_ros.simulation.expert.motion import (
    Command,
    HeightProfile,
    interpolate,
    rotation_vector,
    speed_for_distance,
    tool_rotation,
    velocity_towards,
)
from smoothvla_ros.simulation.expert.scene import Scene

OPEN, CLOSED = -1.0, 1.0
FULLY_OPEN = 0.07  # m between the pads; below it the fingers are closing or closed
GRIPPING = 0.074  # m between the pads; above it nothing is held
CLEARANCE = 0.025  # kept above obstacles, m


@dataclass(frozen=True)
class Placement:
    """Where an object has to go.

    position: of its origin [3] m (the height is that of its lowest point when it is let go).
    rim: height that it must clear to get there, m.  owner: what it is put on or into.
    """

    position: np.ndarray
    rim: float
    owner: str


def find_placement(scene: Scene, goal: Goal) -> Placement:
    """Work out where the subject of an ``on`` or ``in`` goal has to go."""
    problem = scene.problem
    if goal.target in problem.objects:
        centre, owner = scene.position(goal.target), goal.target
    elif goal.target in problem.region_ranges and not problem.owner(goal.target):
        return _arena_placement(scene, goal)
    else:
        centre, owner = scene.site(goal.target), problem.owner(goal.target)
    points = scene.points(owner)
    near = points[np.linalg.norm(points[:, :2] - centre[:2], axis=1) < 0.03]
    top = float(points[:, 2].max())
    if goal.predicate == 'in':
        return Placement(np.array([*centre[:2], float(points[:, 2].min()) + 0.05]), top, owner)
    if 'bowl' in problem.categories[owner]:
        return Placement(np.array([*centre[:2], top - 0.01]), top, owner)
    support = float(near[:, 2].max()) if len(near) else float(centre[2])
    return Placement(np.array([*centre[:2], support]), support, owner)


def _arena_placement(scene: Scene, goal: Goal) -> Placement:
    position = scene.site(goal.target)
    support = float(scene.points(goal.subject)[:, 2].min())
    return Placement(np.array([*position[:2], support]), support, '')


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
        self._reach_height: HeightProfile | None = None
        self._carry_height: HeightProfile | None = None

    @property
    def subject(self) -> str:
        """The object that is moved."""
        return self._goal.subject

    def done(self, scene: Scene) -> bool:
        """Whether the goal is reached and the object was let go."""
        return scene.satisfied(self._goal) and scene.finger_contacts(self.subject) == 0

    def steer(self, scene: Scene) -> Command:
        """Return what to do now."""
        self._update_in_hand(scene)
        return self._carry(scene) if self._in_hand else self._reach(scene)

    def _update_in_hand(self, scene: Scene) -> None:
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

    def _plan_reach(self, scene: Scene) -> None:
        """Choose the grasp; again only when the object was moved, and not with the hand over it."""
        origin = scene.position(self.subject)
        if self._grasp is not None:
            moved = float(np.linalg.norm(origin - self._planned_for))
            over_it = np.linalg.norm((self._grasp.position - scene.tool_position)[:2]) < 0.08
            if moved < (0.02 if over_it else 0.003):
                return
        obstacles = scene.obstacles([self.subject])
        category = scene.problem.categories[self.subject]
        self._grasp = plan_grasp(
            scene.points(self.subject), scene.rotation(self.subject), category, obstacles
        )
        self._planned_for = origin
        self._reach_height = HeightProfile(
            scene.tool_position[:2],
            self._grasp.position[:2],
            obstacles + np.array([0.0, 0.0, CLEARANCE]),
            radius=0.09,
            lowest=self._grasp.top + CLEARANCE,
        )

    def _reach(self, scene: Scene) -> Command:
        grasp, profile = self._grasp, self._reach_height
        assert grasp is not None and profile is not None
        tool = scene.tool_position
        position = grasp.position + scene.position(self.subject) - self._planned_for
        error = position - tool
        aside = float(np.linalg.norm(error[:2]))
        rotation = tool_rotation(grasp.yaw, tool)
        turned = float(np.linalg.norm(rotation_vector(rotation @ scene.tool_rotation.T)))
        closing = scene.opening < FULLY_OPEN
        slack = 2.0 if closing else 1.0
        at_grasp = aside < 0.009 * slack and abs(error[2]) < 0.008 * slack and turned < 0.12 * slack
        # A cone over the grasp: the closer the tool is to the vertical through it, the lower it may be.
        hover = grasp.top + 0.012
        over = max(hover, profile.travel(aside))
        if aside > 0.022:
            height = max(over, min(float(tool[2]), hover + 1.2 * (aside - 0.022)))
            required = max(hover, profile.required(aside))
        else:
            height = interpolate(aside, 0.006, 0.022, float(position[2]), over)
            height = max(height, interpolate(turned, 0.1, 0.25, float(position[2]), hover))
            required = height if aside > 0.012 else -np.inf
        if closing and not at_grasp:
            height = max(height, hover)
        near = float(np.linalg.norm(error))
        return Command(
            velocity=_blend(error[:2], height - float(tool[2]), required - float(tool[2])),
            rotation=rotation,
            gripper=CLOSED if at_grasp else OPEN,
            waypoint=position,
            target=find_placement(scene, self._goal).position,
            noise=interpolate(near, 0.03, 0.08, 0.0, 1.0),
        )

    def _carry(self, scene: Scene) -> Command:
        placement = find_placement(scene, self._goal)
        tool, origin = scene.tool_position, scene.position(self.subject)
        points = scene.points(self.subject)
        hang = float(tool[2] - points[:, 2].min())
        error = placement.position[:2] - origin[:2]
        aside = float(np.linalg.norm(error))
        if self._carry_height is None:
            reach = float(np.linalg.norm(points[:, :2] - origin[:2], axis=1).max())
            self._carry_height = HeightProfile(
                origin[:2],
                placement.position[:2],
                scene.obstacles([self.subject, placement.owner]) + np.array([0.0, 0.0, CLEARANCE]),
                radius=reach + 0.03,
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
        return Command(
            velocity=_blend(error, height - float(tool[2]), required - float(tool[2]), 0.7),
            rotation=tool_rotation(grasp.yaw, tool, level=False),
            gripper=OPEN if arrived or scene.satisfied(self._goal) else CLOSED,
            waypoint=np.array([*(tool[:2] + error), release]),
            target=placement.position,
            noise=interpolate(aside, 0.02, 0.08, 0.2, 0.6),
        )


def _blend(error: np.ndarray, rise: float, lack: float, fastest_down: float = 0.8) -> np.ndarray:
    """Combine going across by `error` [2] m with climbing by `rise` m.

    lack: by how much the tool is too low to go across at all; across waits for it.
    """
    across = velocity_towards(error) * interpolate(lack, 0.0, 0.04, 1.0, 0.0)
    fastest = 1.0 if rise > 0 else fastest_down
    upward = np.sign(rise) * speed_for_distance(abs(rise), fastest)
    return np.array([*across, upward])
