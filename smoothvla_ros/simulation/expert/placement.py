"""Where an object has to go for its goal to be reached."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.simulation.expert.goal import Goal
from smoothvla_ros.simulation.expert.scene import Scene


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
    near = points[np.linalg.norm(points[:, :2] - centre[:2], axis=1) < 0.03]
    support = float(near[:, 2].max()) if len(near) else float(centre[2])
    return Placement(np.array([*centre[:2], support]), support, owner)


def _inside(
    scene: Scene, goal: Goal, centre: np.ndarray, points: np.ndarray, owner: str
) -> Placement:
    """Return the placement in a region inside something: a basket, an open drawer."""
    half = scene.site_half_size(goal.target)
    beside = points[np.all(np.abs(points - centre)[:, :2] < half[:2] + 0.03, axis=1)]
    low = float(centre[2] - half[2])
    if owner in scene.problem.objects:
        return Placement(np.array([*centre[:2], low + 0.03]), float(points[:, 2].max()), owner)
    return Placement(np.array([*centre[:2], low + 0.01]), float(beside[:, 2].max()), owner)
