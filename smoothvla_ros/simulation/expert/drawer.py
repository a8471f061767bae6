"""Where a drawer's handle is, and which way it opens."""

from __future__ import annotations

import numpy as np

from smoothvla_ros.simulation.expert.scene import ExpertScene


def drawer_joint(region: str) -> str:
    """Return what LIBERO calls the slide of the drawer that a region is inside of."""
    return region.replace('_region', '_level')


def opening_direction(scene: ExpertScene, joint: str) -> np.ndarray:
    """Return the direction in which a slide opens: towards its farther limit, unit vector [3]."""
    low, high = scene.joint_range(joint)
    return scene.joint_axis(joint) * (1.0 if abs(high) > abs(low) else -1.0)


def handle(scene: ExpertScene, joint: str) -> np.ndarray:
    """Return the middle of a drawer's handle bar: what sticks out farthest, [3] m."""
    points = scene.points(scene.joint_body(joint))
    out = points @ opening_direction(scene, joint)
    bar = points[out > out.max() - 0.016]
    return (bar.max(axis=0) + bar.min(axis=0)) / 2.0
