"""Where an object has to go for its goal to be reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.simulation.expert.drawer import drawer_joint, opening_direction
from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.scene import ExpertScene

SIDE_BY_SIDE = 0.1  # between the middles of things that share a region, m


@dataclass(frozen=True)
class Placement:
    """Where an object has to go.

    position: of its origin [3] m (the height is that of its lowest point when it is let go).
    rim: height that it must clear to get there, m.  owner: what it is put on or into.
    """

    position: np.ndarray
    rim: float
    owner: str


def find_placement(scene: ExpertScene, goal: Goal) -> Placement:
    """Work out where the subject of an ``on`` or ``in`` goal has to go."""
    problem = scene.problem
    owner = goal.target if goal.target in problem.objects else problem.owner(goal.target)
    if not owner:
        support = float(scene.points(goal.subject)[:, 2].min())
        return Placement(np.array([*scene.site(goal.target)[:2], support]), support, '')
    centre = scene.position(owner) if owner == goal.target else scene.site(goal.target)
    points = scene.points(owner)
    top = float(points[:, 2].max())
    if goal.predicate == 'in':
        return _inside(scene, goal, centre, points, owner)
    if 'bowl' in problem.categories[owner]:
        return Placement(np.array([*centre[:2], top - 0.01]), top, owner)
    if goal.target not in problem.objects:
        centre = centre + _beside_the_others(scene, goal)
    near = points[np.linalg.norm(points[:, :2] - centre[:2], axis=1) < 0.03]
    support = float(near[:, 2].max()) if len(near) else float(centre[2])
    return Placement(np.array([*centre[:2], support]), support, owner)


def _beside_the_others(scene: ExpertScene, goal: Goal) -> np.ndarray:
    """Return how far from a region's middle a subject is put, [3] m, where several share it.

    They stand side by side along x, in the order of the goals.
    """
    sharing = [other.subject for other in scene.problem.goals if other.target == goal.target]
    place = sharing.index(goal.subject) - (len(sharing) - 1) / 2.0
    return np.array([place * SIDE_BY_SIDE, 0.0, 0.0])


def _inside(
    scene: ExpertScene, goal: Goal, centre: np.ndarray, points: np.ndarray, owner: str
) -> Placement:
    """Return the placement in a region inside something: a basket, an open drawer."""
    half = scene.site_half_size(goal.target)
    beside = points[np.all(np.abs(points - centre)[:, :2] < half[:2] + 0.03, axis=1)]
    low = float(centre[2] - half[2])
    if owner in scene.problem.objects:
        return Placement(np.array([*centre[:2], low + 0.03]), float(points[:, 2].max()), owner)
    joint = drawer_joint(goal.target)
    if scene.has_joint(joint):
        # As far out as it fits: the handles of the drawers above stand over the rest.
        outward = opening_direction(scene, joint)
        room = float(half @ np.abs(outward)) - scene.radius(goal.subject) - 0.004
        centre = centre + outward * max(room, 0.0)
    return Placement(np.array([*centre[:2], low + 0.01]), float(beside[:, 2].max()), owner)
