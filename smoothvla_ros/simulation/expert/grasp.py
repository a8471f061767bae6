"""Where to take an object: by its rim, or across its narrowest width.

The choice must look the same whenever the scene looks the same, because a network learns it from
pictures: grasps are tried in one fixed order and the first that has room is taken. The tool turns
only when it must.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from smoothvla_ros.simulation.expert.geometry import distance_to_box

RIM_CATEGORIES = ('bowl', 'plate', 'mug', 'ramekin', 'frypan')
WIDEST = 0.074  # the fingers open to 0.08 m
FINGER_ROOM = 0.004  # clearance that an open finger needs, m
HAND_ROOM = 0.004
SIMILAR_ROOM = 0.004  # differences below this do not decide, m
# How far inside the rim the fingertips are centred, m: more, only to keep off something outside.
RIM_INSETS = (0.004, 0.014, 0.024)
STEEPEST_SPOKE = 0.25  # of a leaning vessel only those parts of the rim are taken that are level
UPRIGHT_REACH, LEANING_REACH = 0.74, 0.08  # from the base's axis, m
PALM_DEPTH = 0.028  # how far an object may reach up between the fingers, m

# The open gripper (robosuite's Panda) at yaw 0 around the point between its fingertips, m:
# x across, y along the finger axis, z up.
FINGER_LOW, FINGER_HIGH = np.array([-0.0105, 0.0386, -0.0093]), np.array([0.0105, 0.0651, 0.0445])
HAND_LOW, HAND_HIGH = np.array([-0.032, -0.104, 0.031]), np.array([0.032, 0.104, 0.25])


@dataclass(frozen=True)
class Grasp:
    """position: of the point between the fingertips [3] m.  yaw: of the tool, rad.

    top: height of the object's highest point, m.
    """

    position: np.ndarray
    yaw: float
    top: float


def is_taken_by_rim(category: str) -> bool:
    """Whether objects of a category are open vessels or plates."""
    return any(word in category for word in RIM_CATEGORIES)


def room(position: np.ndarray, yaw: float, obstacles: np.ndarray) -> float:
    """Return the space (m) that the open gripper has beyond its need; negative when blocked."""
    if not len(obstacles):
        return np.inf
    near = obstacles[np.linalg.norm(obstacles[:, :2] - position[:2], axis=1) < 0.2] - position
    if not len(near):
        return np.inf
    cosine, sine = np.cos(yaw), np.sin(yaw)
    local = near @ np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    mirrored = local * np.array([1.0, -1.0, 1.0])
    fingers = min(
        distance_to_box(points, FINGER_LOW, FINGER_HIGH).min() for points in (local, mirrored)
    )
    hand = distance_to_box(local, HAND_LOW, HAND_HIGH).min()
    return float(min(fingers - FINGER_ROOM, hand - HAND_ROOM))


def reach_left(grasp: Grasp) -> float:
    """Return by how much (m) a grasp lies within reach; a tool that may lean reaches further."""
    farthest = UPRIGHT_REACH + LEANING_REACH * abs(np.cos(grasp.yaw))
    return float(farthest - np.linalg.norm(grasp.position[:2]))


def first_with_room(candidates: list[Grasp], obstacles: np.ndarray) -> Grasp:
    """Return the first grasp that has room; if none has, the first that has about the most."""
    rooms = [
        min(room(grasp.position, grasp.yaw, obstacles), reach_left(grasp)) for grasp in candidates
    ]
    enough = min(0.0, max(rooms) - SIMILAR_ROOM)
    return next(grasp for grasp, space in zip(candidates, rooms, strict=True) if space >= enough)


def rim_grasps(points: np.ndarray, rotation: np.ndarray, depth: float) -> list[Grasp]:
    """Grasps round the rim of a vessel, the side on the robot's left first.

    points: surface [n, 3] m.  rotation: of the vessel [3, 3], its z axis points out of the mouth;
    it may lean.  depth: how far below the rim the fingertips reach, m.
    """
    local = points @ rotation
    mouth = float(local[:, 2].max())
    rim = local[local[:, 2] > mouth - 0.012]
    centre = (rim.max(axis=0) + rim.min(axis=0))[:2] / 2.0
    radius = float(np.median(np.linalg.norm(rim[:, :2] - centre, axis=1)))
    angles = np.linspace(0.0, 2.0 * np.pi, 73)[:-1]
    spokes = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=1) @ rotation.T
    middle = rotation @ np.array([*centre, mouth])
    flat = spokes[:, :2] / np.maximum(np.linalg.norm(spokes[:, :2], axis=1, keepdims=True), 1e-6)
    top = float(points[:, 2].max())
    grasps = []
    for inset in RIM_INSETS:
        for turn in _turns(np.pi / 8, 4):
            for side in (1.0, -1.0):
                direction = side * np.array([-np.sin(turn), np.cos(turn)])
                spoke = spokes[int(np.argmax(flat @ direction))]
                if abs(spoke[2]) < STEEPEST_SPOKE:
                    position = middle + spoke * (radius - inset) - np.array([0.0, 0.0, depth])
                    grasps.append(Grasp(position, turn, top))
    return grasps


def width_grasps(points: np.ndarray) -> list[Grasp]:
    """Grasps across an object [n, 3] from above, unturned where that is narrow enough."""
    top, bottom = float(points[:, 2].max()), float(points[:, 2].min())
    height = top - bottom
    grip = max(bottom + 0.012, top - min(PALM_DEPTH, height * 0.55))
    slab = points[np.abs(points[:, 2] - grip) < max(0.02, height * 0.15)]
    slab = (slab if len(slab) > 20 else points)[:, :2]
    turns = _turns(np.pi / 24, 12)
    spans = [_span(slab, turn) for turn in turns]
    narrowest = min(width for width, _, _ in spans)
    enough = max(narrowest + 0.008, min(narrowest * 1.3, 0.05))
    grasps = []
    for turn, (width, length, middle) in zip(turns, spans, strict=True):
        if width <= min(enough, max(WIDEST, narrowest)):
            across = np.array([np.cos(turn), np.sin(turn)])
            # Long objects may be taken off their middle where something stands in the way.
            for shift in (0.0, 0.4, -0.4, 0.8, -0.8) if length > 1.5 * width else (0.0,):
                position = middle + across * shift * (length - 0.02) / 2.0
                grasps.append(Grasp(np.array([*position, grip]), turn, top))
    return grasps


def _turns(step: float, count: int) -> list[float]:
    """Angles 0, +step, -step, ... in the order in which they are preferred, within half a turn."""
    turns = [0.0]
    for k in range(1, count + 1):
        turns.append(k * step)
        if k * step < np.pi / 2 - 1e-6:
            turns.append(-k * step)
    return turns


def _span(points: np.ndarray, yaw: float) -> tuple[float, float, np.ndarray]:
    """Extent of points [n, 2] along the finger axis at `yaw` and across it, and their middle."""
    along, across = np.array([-np.sin(yaw), np.cos(yaw)]), np.array([np.cos(yaw), np.sin(yaw)])
    a, c = points @ along, points @ across
    middle = along * (a.max() + a.min()) / 2.0 + across * (c.max() + c.min()) / 2.0
    return float(np.ptp(a)), float(np.ptp(c)), middle


def plan_grasp(
    points: np.ndarray, rotation: np.ndarray, category: str, obstacles: np.ndarray
) -> Grasp:
    """Choose the grasp of an object.

    points: its surface [n, 3] m.  rotation: of its body [3, 3].  obstacles: the surfaces of
    everything else [m, 3] m.
    """
    if is_taken_by_rim(category):
        depth = 0.007 if 'plate' in category else 0.018
        # A vessel that was knocked over has no level part of its rim, and is taken like a box.
        on_its_feet = rim_grasps(points, rotation, depth)
        return first_with_room(on_its_feet or width_grasps(points), obstacles)
    return first_with_room(width_grasps(points), obstacles)
